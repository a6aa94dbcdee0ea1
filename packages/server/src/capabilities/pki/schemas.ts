import { z } from 'zod';
import { isoSeconds, isoTime } from '../../kernel/clock.js';
import { isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, secondText } from '../../platform/http/pagination.js';
import type { Authority } from '../authorities/index.js';
import { KEY_ALGORITHMS, nameText, pem } from '../x509/index.js';
import { readSubject, SUBJECT_KEYS, type SubjectFields, type SubjectKey } from './subject.js';

const rowId = z.string().meta({ format: 'uuid' });
const pathName = z.string().min(1).max(LIMITS.nameCharactersMax);
export const keyAlgorithm = z.enum(KEY_ALGORITHMS, `must be one of ${KEY_ALGORITHMS.join(', ')}`);

export const rootParams = z.object({ name: pathName.describe('Name or id of a root.') });

/** What stands in paths, where ids stand too and programs fold dots. */
export const mountName = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/[\p{Cc}\p{Surrogate}]/u.test(text), 'must not hold control characters')
  .refine((text) => text.trim() === text, 'must not begin or end with a space')
  .refine((text) => !text.startsWith('_'), 'must not begin with _: such names are reserved')
  .refine((text) => text !== '.' && text !== '..', 'must not be a dot or two')
  .refine((text) => !isUuid(text), 'must not have the form of an id');

const CHARACTERS = { CN: 64, O: 64, OU: 64, C: 2, ST: 128, L: 128 } as const;

function subjectMember(key: SubjectKey) {
  const attribute = SUBJECT_KEYS[key];
  const max = CHARACTERS[attribute];
  const what = attribute === 'C' ? 'A country, two letters.' : `At most ${max} characters.`;
  const other = key === attribute ? '' : `The same as ${attribute}. `;
  return z
    .string()
    .optional()
    .meta({ minLength: attribute === 'C' ? 2 : 1, maxLength: max })
    .describe(`${other}${what}`);
}

const SUBJECT_MEMBERS = Object.fromEntries(
  (Object.keys(SUBJECT_KEYS) as SubjectKey[]).map((key) => [key, subjectMember(key)]),
) as Record<SubjectKey, ReturnType<typeof subjectMember>>;

/** Under X.500 short names or the long ones (clients-pki.md §3.2). */
export const subject = z
  .strictObject(SUBJECT_MEMBERS)
  .transform((given, context): SubjectFields => {
    const sent = Object.entries(given).filter(([, text]) => text !== undefined);
    const { fields, faults } = readSubject(Object.fromEntries(sent));
    for (const { key, rule } of faults) context.addIssue({ code: 'custom', path: [key], message: rule });
    return fields;
  })
  .describe('Of the distinguished name, under short names or long ones.')
  .meta({ examples: [{ CN: 'Acme Root', O: 'Acme', C: 'DE' }] });

export const createRootBody = z
  .strictObject({
    name: mountName
      .describe('By which it is called in paths; one active root has it.')
      .meta({ examples: ['corp'] }),
    subject: subject.default({}).describe('Without a CN that is the name of the root.'),
    key_algorithm: keyAlgorithm
      .default('ecdsa-p256')
      .describe('Of the root and of what it lets issue. RSA with 4096 bits takes seconds.'),
  })
  .transform(({ name, subject, key_algorithm }, context) => {
    if (subject.CN === undefined && [...name].length > CHARACTERS.CN) {
      const message = `must be given: the name of the root has more than ${CHARACTERS.CN} characters`;
      context.addIssue({ code: 'custom', path: ['subject', 'CN'], message });
    }
    return { name, subject: { CN: name, ...subject }, keyAlgorithm: key_algorithm };
  });

export const emptyBody = z.strictObject({});

export const rootResponse = z
  .object({
    id: rowId,
    tenant_id: rowId,
    name: z
      .string()
      .describe('`_clients` is the authority behind client credentials: reserved, and only to be read.'),
    cert_pem: z.string(),
    subject: z.string().describe('As RFC 4514 writes it.'),
    subject_fields: z.record(z.string(), z.string()).nullable().describe('Under short names.'),
    key_algorithm: z.string(),
    not_before: secondText,
    not_after: secondText,
    status: z.enum(['active', 'retired', 'revoked']).describe('`retired`: signs nothing new.'),
    created_at: instantText,
    sandbox: z.boolean().describe('True in test mode.'),
  })
  .meta({ id: 'CaRoot' });

export const createdRootResponse = z
  .object({ root: rootResponse, intermediate_not_after: secondText })
  .meta({ id: 'CreatedCaRoot' });

export const rotatedResponse = z
  .object({ intermediate_id: rowId, not_after: secondText })
  .meta({ id: 'RotatedIntermediate' });

export const retiredResponse = z.object({ retired: z.literal(true) }).meta({ id: 'RetiredCaRoot' });

export const certificatesText = z.string().describe('Certificates in PEM.');
export const listsText = z
  .string()
  .describe('Revocation lists in PEM: of the active issuing authority first, of the root last.');

export function rootWire({ tenantId, sandbox }: Scope, root: Authority): z.input<typeof rootResponse> {
  return {
    id: root.id,
    tenant_id: tenantId,
    name: root.name,
    cert_pem: pem('CERTIFICATE', root.certificate),
    subject: nameText(root.subject),
    subject_fields: Object.fromEntries(root.subject),
    key_algorithm: root.keyAlgorithm,
    not_before: isoSeconds(root.notBeforeMs),
    not_after: isoSeconds(root.notAfterMs),
    status: root.status,
    created_at: isoTime(root.createdAtMs),
    sandbox,
  };
}
