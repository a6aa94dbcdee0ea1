import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import {
  CERTIFICATE_FORMATS,
  type CertificateFile,
  type CertificateFormat,
} from '../../platform/crypto/certificate-files.js';
import { instantQuery, pageQuery } from '../../platform/http/pagination.js';
import { environmentName } from '../environments/index.js';
import { allowedHosts } from './hosts.js';
import { isSecretName, NAME_RULE, normalizeName } from './names.js';
import { oauth2ChangeOf, oauth2Changes } from './oauth2/change-schema.js';

export const secretParams = z.object({ id: z.string().min(1).max(64).describe('Of a secret.') });

const name = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine(isSecretName, NAME_RULE)
  .transform(normalizeName)
  .describe('What placeholders name it by: spaces become underscores, and case does not tell names apart.')
  .meta({ examples: ['STRIPE_API_KEY'] });

export const secretValue = z
  .string()
  .min(1, 'must not be empty')
  .refine(
    (text) => Buffer.byteLength(text) <= LIMITS.secretValueBytesMax,
    `must have at most ${LIMITS.secretValueBytesMax} bytes`,
  )
  .refine((text) => !/\p{Cs}/u.test(text), 'must be text')
  .describe('Never shown again under /v1.')
  .transform((text) => new Secret(text));

export const terms = {
  description: z.string().max(LIMITS.descriptionCharactersMax).nullable().describe('For people.'),
  collection_id: z.uuid().toLowerCase().nullable().describe('Yours, to group secrets by.'),
  expires_at: instantQuery.nullable().describe('ISO 8601 with an offset; null: never.'),
  strict_expiry_enforcement: z
    .boolean()
    .describe('True: an expired value is sent nowhere. False: it is sent, and the server’s log warns.'),
  allowed_hosts: allowedHosts
    .nullable()
    .describe(
      'Where the value may be sent: names, or `*.example.com`. Null: unbound; then routes alone may send it.',
    ),
};
const environment = environmentName.optional();

/** Alike to both ways of saying it (dataplane.md §3). */
export const hostLists = {
  allowed_hosts: terms.allowed_hosts.optional(),
  hosts: terms.allowed_hosts.optional(),
};
export const ONE_LIST = {
  error: 'must not stand beside allowed_hosts, which says the same',
  path: ['hosts'],
};

interface HostLists {
  readonly allowed_hosts?: string[] | null | undefined;
  readonly hosts?: string[] | null | undefined;
}
export const hasOneList = (body: HostLists) => body.allowed_hosts === undefined || body.hosts === undefined;
export const hostsOf = (body: HostLists) =>
  body.allowed_hosts === undefined ? body.hosts : body.allowed_hosts;

export const newTerms = {
  name,
  description: terms.description.default(null),
  environment: environment.describe(
    'The base: its value holds where another environment has none. Absent: the default.',
  ),
  collection_id: terms.collection_id.default(null),
  strict_expiry_enforcement: terms.strict_expiry_enforcement.default(false),
};

export function newTermsOf(body: {
  name: string;
  description: string | null;
  environment?: string | undefined;
  collection_id: string | null;
  strict_expiry_enforcement: boolean;
}) {
  return {
    name: body.name,
    description: body.description,
    environment: body.environment ?? null,
    collectionId: body.collection_id,
    isExpiryStrict: body.strict_expiry_enforcement,
  };
}

export const createSecretBody = z
  .strictObject({
    ...newTerms,
    ...hostLists,
    secret_type: z
      .literal('string', 'must be string: certificates are made by POST /v1/secrets/certificate')
      .default('string'),
    value: secretValue,
    expires_at: terms.expires_at.default(null),
  })
  .refine(hasOneList, ONE_LIST)
  .transform((body) => ({
    ...newTermsOf(body),
    value: body.value,
    expiresAtMs: body.expires_at,
    allowedHosts: hostsOf(body) ?? null,
  }));

const fileText = z
  .string()
  .min(1, 'must not be empty')
  // Base64 is a third longer than what it stands for.
  .max(Math.ceil((LIMITS.certificateFileBytesMax * 4) / 3) + 1_024)
  .transform((text) => new Secret(text));

const file = {
  certificate_content: fileText.describe(
    `PEM, or base64 of a binary file, at most ${LIMITS.certificateFileBytesMax / 1024} KiB.`,
  ),
  private_key: fileText.describe('PEM, or base64 of PKCS #8, where the file does not hold it.'),
  passphrase: z
    .string()
    .max(1_024)
    .describe('Of the file, or of the private key.')
    .transform((text) => new Secret(text)),
  certificate_type: z
    .enum(CERTIFICATE_FORMATS, `must be one of ${CERTIFICATE_FORMATS.join(', ')}`)
    .describe('What kind of file it is.'),
};

const certificateFields = {
  certificate_content: file.certificate_content,
  private_key: file.private_key.optional(),
  passphrase: file.passphrase.optional(),
  certificate_type: file.certificate_type.default('pem'),
  expires_at: terms.expires_at.optional().describe('Absent: when the certificate does; null: never.'),
};

function fileOf(body: {
  certificate_content: Secret<string>;
  private_key?: Secret<string> | undefined;
  passphrase?: Secret<string> | undefined;
  certificate_type: CertificateFormat;
}): CertificateFile {
  return {
    content: body.certificate_content,
    format: body.certificate_type,
    privateKey: body.private_key ?? null,
    passphrase: body.passphrase ?? null,
  };
}

export const createCertificateBody = z
  .strictObject({ ...newTerms, ...certificateFields })
  .transform((body) => ({
    ...newTermsOf(body),
    file: fileOf(body),
    expiresAtMs: body.expires_at,
    allowedHosts: null,
  }));

export const setCertificateBody = z
  .strictObject({ ...certificateFields, environment: environment.describe('Absent: the base environment.') })
  .transform((body) => ({
    file: fileOf(body),
    environment: body.environment ?? null,
    expiresAtMs: body.expires_at,
  }));

export const updateSecretBody = z
  .strictObject({
    name: name.optional(),
    description: terms.description.optional(),
    collection_id: terms.collection_id.optional(),
    expires_at: terms.expires_at.optional(),
    strict_expiry_enforcement: terms.strict_expiry_enforcement.optional(),
    ...hostLists,
    value: secretValue
      .optional()
      .describe('Of the base environment; due where allowed_hosts covers a further host.'),
    values: z
      .record(environmentName, secretValue)
      .refine((some) => {
        const { length } = Object.keys(some);
        return length > 0 && length <= LIMITS.environmentsMax;
      }, `must hold 1 to ${LIMITS.environmentsMax} values`)
      .optional()
      .describe('By environment; due in place of `value` where several have one.'),
    ...oauth2Changes,
  })
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .refine(hasOneList, ONE_LIST)
  .transform((body) => {
    const hosts = hostsOf(body);
    return {
      terms: {
        ...(body.name !== undefined && { name: body.name }),
        ...(body.description !== undefined && { description: body.description }),
        ...(body.collection_id !== undefined && { collectionId: body.collection_id }),
        ...(body.expires_at !== undefined && { expiresAtMs: body.expires_at }),
        ...(body.strict_expiry_enforcement !== undefined && {
          isExpiryStrict: body.strict_expiry_enforcement,
        }),
        ...(hosts !== undefined && { allowedHosts: hosts }),
      },
      ...(body.value && { value: body.value }),
      ...(body.values && { values: new Map(Object.entries(body.values)) }),
      ...oauth2ChangeOf(body),
    };
  });

export const setValueBody = z
  .strictObject({
    value: secretValue,
    environment: environment.describe('Absent: the base environment.'),
    expires_at_override: terms.expires_at
      .optional()
      .describe('Of this environment; null: that of the secret; absent: as it was.'),
  })
  .transform((body) => ({
    value: body.value,
    environment: body.environment ?? null,
    ...(body.expires_at_override !== undefined && { expiresAtOverrideMs: body.expires_at_override }),
  }));

export const secretListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'base_environment'])
    .default('name')
    .describe('What the rows are ordered by.'),
  order: z.enum(['asc', 'desc']).default('asc').describe('Direction of `sort`.'),
});

export const valueQuery = z.object({
  environment: environment.describe('Absent: the base environment.'),
});
