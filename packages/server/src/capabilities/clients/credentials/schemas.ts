import { z } from 'zod';
import { isoSeconds, isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import { instantText, secondText } from '../../../platform/http/pagination.js';
import type { ClientMatch } from '../matching/service.js';
import { id, networkText, rowId, shortText } from '../schemas.js';
import { CREDENTIAL_KINDS } from '../tables.js';
import { parseThumbprint, THUMBPRINT_CHARACTERS_MAX } from '../thumbprint.js';
import type { CredentialChanges, MadeCredential, NewCredential } from './service.js';
import type { Credential } from './store.js';

export const credentialParams = z.object({
  id: id.describe('Of a client.'),
  credId: id.describe('Of one of its credentials.'),
});

const kind = z.enum(CREDENTIAL_KINDS, `must be ${CREDENTIAL_KINDS.join(' or ')}`);
const label = shortText.nullable().describe('For people.');

const thumbprint = z
  .string()
  .max(THUMBPRINT_CHARACTERS_MAX)
  .transform((text, context) => {
    const parsed = parseThumbprint(text);
    if (parsed !== null) return parsed;
    context.addIssue({
      code: 'custom',
      message: 'must be the SHA-256 of the DER certificate: 64 hex digits, with or without colons',
    });
    return z.NEVER;
  });

export const createCredentialBody = z
  .strictObject({
    kind: kind.describe('What a call has to show: where it comes from, or a client certificate.'),
    label: label.default(null),
    data: z
      .strictObject({
        value: networkText
          .optional()
          .describe('Of `ip`: address or CIDR range.')
          .meta({ examples: ['203.0.113.0/24'] }),
        mode: z
          .literal('issue', 'must be issue, or be left out where sha256_thumbprint is given')
          .optional()
          .describe('Of `mtls_thumbprint`: makes key and certificate, which this one answer shows.'),
        sha256_thumbprint: thumbprint
          .optional()
          .describe(
            'Of `mtls_thumbprint`: SHA-256 of a certificate of yours, as `openssl x509 -fingerprint -sha256` prints it.',
          ),
      })
      .describe('What belongs to the kind.'),
  })
  .superRefine(({ kind, data }, context) => {
    for (const [field, rule] of dataProblems(kind, data))
      context.addIssue({ code: 'custom', path: ['data', field], message: rule });
  })
  .transform(
    ({ label, data: { value, sha256_thumbprint: sha256Thumbprint } }): NewCredential => ({
      label,
      evidence:
        value !== undefined
          ? { kind: 'ip', value }
          : sha256Thumbprint !== undefined
            ? { kind: 'mtls_thumbprint', sha256Thumbprint, issued: null }
            : 'issue',
    }),
  );

type Data = { readonly [Field in 'value' | 'mode' | 'sha256_thumbprint']?: string | undefined };

function* dataProblems(
  kind: (typeof CREDENTIAL_KINDS)[number],
  data: Data,
): Generator<[field: keyof Data, rule: string]> {
  const given = (Object.keys(data) as (keyof Data)[]).filter((field) => data[field] !== undefined);
  if (kind === 'ip') {
    if (data.value === undefined) yield ['value', 'is required for kind ip'];
    for (const field of given) if (field !== 'value') yield [field, 'does not belong to kind ip'];
    return;
  }
  if (data.value !== undefined) yield ['value', 'does not belong to kind mtls_thumbprint'];
  if (data.mode === undefined && data.sha256_thumbprint === undefined)
    yield ['sha256_thumbprint', 'is required for kind mtls_thumbprint, or mode issue'];
  if (data.mode !== undefined && data.sha256_thumbprint !== undefined)
    yield ['sha256_thumbprint', 'cannot be given with mode issue: the certificate does not exist yet'];
}

export const updateCredentialBody = z
  .strictObject({
    enabled: z
      .boolean()
      .optional()
      .describe(
        'False: lets nobody in. A certificate is not revoked by it; deleting revokes one that was issued.',
      ),
    label: label.optional(),
  })
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name enabled or label',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ enabled, label }): CredentialChanges => ({
      ...(enabled !== undefined && { enabled }),
      ...(label !== undefined && { label }),
    }),
  );

const row = {
  id: rowId,
  tenant_id: rowId,
  client_id: rowId,
  kind,
  label: z.string().nullable(),
  data: z.object({
    value: z.string().optional().describe('Of `ip`: as it was sent.'),
    sha256_thumbprint: z.string().optional().describe('Of `mtls_thumbprint`: 64 hex digits in lower case.'),
    subject: z.string().optional().describe('Of an issued certificate, as the two that follow.'),
    serial: z.string().optional().describe('In hex.'),
    not_after: secondText.optional(),
  }),
  enabled: z.boolean(),
  expires_at: secondText.nullable().describe('End of an issued certificate; null: not known, or never.'),
  created_at: instantText,
  updated_at: instantText,
  last_matched_at: instantText.nullable().describe('Written once a minute; null: never.'),
};

export const credentialResponse = z.object(row).meta({ id: 'ClientCredential' });
export const credentialsResponse = z.array(credentialResponse);

export const createdCredentialResponse = z
  .object({
    ...row,
    reveal: z
      .object({
        certificate_pem: z.string(),
        private_key_pem: z.string().describe('PKCS#8. It is stored nowhere.'),
        ca_chain_pem: z.string().describe('Issuing certificate, then the root.'),
      })
      .nullable()
      .optional()
      .describe('Of an issued certificate, in the one answer that made it; null in a replay.'),
  })
  .meta({ id: 'CreatedClientCredential' });

export const matchResponse = z
  .object({
    address: z.string().describe('That the call comes from, as the server sees it.'),
    certificate_sha256: z
      .string()
      .nullable()
      .describe('Thumbprint of the client certificate; null: none was shown.'),
    client_id: rowId,
    client_name: z.string(),
    credential_id: rowId,
    kind,
  })
  .meta({ id: 'ClientMatch' });

export function credentialWire(credential: Credential) {
  const { expiresAtMs } = credential;
  const expiresAt = expiresAtMs === null ? null : isoSeconds(expiresAtMs);
  return {
    id: credential.id,
    tenant_id: credential.scope.tenantId,
    client_id: credential.clientId,
    kind: credential.evidence.kind,
    label: credential.label,
    data: dataWire(credential, expiresAt),
    enabled: credential.enabled,
    expires_at: expiresAt,
    created_at: isoTime(credential.createdAtMs),
    updated_at: isoTime(credential.updatedAtMs),
    last_matched_at: isoTimeOrNull(credential.lastMatchedAtMs),
  };
}

function dataWire({ evidence }: Credential, expiresAt: string | null) {
  if (evidence.kind === 'ip') return { value: evidence.value };
  const { sha256Thumbprint, issued } = evidence;
  return { sha256_thumbprint: sha256Thumbprint, ...(issued && { ...issued, not_after: expiresAt }) };
}

export function createdCredentialWire({ credential, reveal }: MadeCredential) {
  return {
    ...credentialWire(credential),
    ...(reveal && {
      reveal: {
        certificate_pem: reveal.certificatePem,
        private_key_pem: reveal.privateKeyPem.reveal(),
        ca_chain_pem: reveal.caChainPem,
      },
    }),
  };
}

export function matchWire(match: ClientMatch, address: string, certificateSha256: string | null) {
  return {
    address,
    certificate_sha256: certificateSha256,
    client_id: match.clientId,
    client_name: match.clientName,
    credential_id: match.credentialId,
    kind: match.kind,
  };
}
