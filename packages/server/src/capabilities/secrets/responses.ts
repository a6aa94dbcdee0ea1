import { z } from 'zod';
import { isoSeconds, isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { instantText, secondText } from '../../platform/http/pagination.js';
import type { CertificateInfo } from './certificates/bundle.js';
import { oauth2Response, oauth2Wire } from './oauth2/responses.js';
import type { ShownValue } from './reading.js';
import type { SecretDetail, SecretWithWritten } from './service.js';
import type { SecretSummary } from './store.js';
import { SECRET_TYPES } from './tables.js';
import type { StoredSecret } from './types.js';
import type { ValueHead } from './value-store.js';

const rowId = z.string().meta({ format: 'uuid' });
const expiresAt = instantText.nullable().describe('Null: never.');

const row = {
  id: rowId,
  name: z.string(),
  shortcode_name: z.string().describe('The same as `name`: what placeholders name it by.'),
  secret_type: z.enum(SECRET_TYPES),
  base_environment: z.string(),
  environment_count: z.number().int().describe('In how many environments it has a value of its own.'),
  collection_id: rowId.nullable(),
  allowed_hosts: z.array(z.string()).nullable().describe('Where it may be sent; null: unbound.'),
  expires_at: expiresAt,
  strict_expiry_enforcement: z.boolean(),
  created_at: instantText,
};

export const secretRowResponse = z.object(row).meta({ id: 'SecretRow' });

const certificateShown = z
  .object({
    subject: z.string().nullable().describe('Null where only a private key is stored, as the next four.'),
    issuer: z.string().nullable(),
    serial_number: z.string().nullable(),
    sha256_fingerprint: z.string().nullable(),
    not_before: secondText.nullable(),
    not_after: secondText.nullable(),
    has_private_key: z.boolean(),
    certificates: z.number().int().describe('With those that issued it.'),
  })
  .nullable()
  .describe('Null of what is no certificate.');

export const secretResponse = z
  .object({
    ...row,
    description: z.string().nullable(),
    updated_at: instantText,
    environments: z
      .array(
        z.object({
          environment_name: z.string(),
          value_version: z.number().int().describe('Counted from 1, by each value that was written.'),
          updated_at: instantText,
          expires_at_override: instantText.nullable().describe('Null: that of the secret.'),
          certificate: certificateShown,
        }),
      )
      .describe('Those with a value of their own, in order of their names.'),
    oauth2: oauth2Response.nullable().describe('As the base environment has it; null of other types.'),
  })
  .meta({ id: 'Secret' });

export const changedSecretResponse = z
  .object({ id: rowId, name: z.string(), expires_at: expiresAt, strict_expiry_enforcement: z.boolean() })
  .meta({ id: 'ChangedSecret' });

export const writtenValueResponse = z
  .object({
    id: rowId,
    name: z.string(),
    environment: z.string(),
    value_version: z.number().int().describe('That this call made.'),
  })
  .meta({ id: 'WrittenSecretValue' });

export const shownValueResponse = z
  .object({
    id: rowId,
    name: z.string(),
    secret_type: z.enum(SECRET_TYPES),
    environment: z.string(),
    value: z.string().describe('Of a certificate: private key, certificate and its issuers in PEM.'),
    value_version: z.number().int(),
    is_inherited: z
      .boolean()
      .describe('True: the environment has none of its own, and this is that of the base.'),
    updated_at: instantText,
    expires_at: instantText.nullable(),
  })
  .meta({ id: 'SecretValue' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function secretRowWire(secret: SecretSummary) {
  return {
    id: secret.id,
    name: secret.name,
    shortcode_name: secret.name,
    secret_type: secret.type,
    base_environment: secret.baseEnvironment,
    environment_count: secret.environmentCount,
    collection_id: secret.collectionId,
    allowed_hosts: secret.allowedHosts && [...secret.allowedHosts],
    expires_at: isoTimeOrNull(secret.expiresAtMs),
    strict_expiry_enforcement: secret.isExpiryStrict,
    created_at: isoTime(secret.createdAtMs),
  };
}

export function secretWire(secret: SecretDetail) {
  return {
    ...secretRowWire(secret),
    description: secret.description,
    updated_at: isoTime(secret.updatedAtMs),
    environments: secret.values.map(headWire),
    oauth2: secret.oauth2 && oauth2Wire(secret.oauth2),
  };
}

function headWire({ environment, version, updatedAtMs, expiresAtOverrideMs, certificate }: ValueHead) {
  return {
    environment_name: environment,
    value_version: version,
    updated_at: isoTime(updatedAtMs),
    expires_at_override: isoTimeOrNull(expiresAtOverrideMs),
    certificate: certificate && certificateWire(certificate),
  };
}

function certificateWire({ leaf, hasPrivateKey, certificates }: CertificateInfo) {
  return {
    subject: leaf?.subject ?? null,
    issuer: leaf?.issuer ?? null,
    serial_number: leaf?.serialNumber ?? null,
    sha256_fingerprint: leaf?.sha256Fingerprint ?? null,
    not_before: leaf && isoSeconds(leaf.notBeforeMs),
    not_after: leaf && isoSeconds(leaf.notAfterMs),
    has_private_key: hasPrivateKey,
    certificates,
  };
}

export function changedSecretWire(secret: StoredSecret) {
  return {
    id: secret.id,
    name: secret.name,
    expires_at: isoTimeOrNull(secret.expiresAtMs),
    strict_expiry_enforcement: secret.isExpiryStrict,
  };
}

export function writtenValueWire({ id, name, written }: SecretWithWritten) {
  return { id, name, environment: written.environment, value_version: written.version };
}

export function shownValueWire({ secret, asked, environment, value, ...head }: ShownValue) {
  return {
    id: secret.id,
    name: secret.name,
    secret_type: secret.type,
    environment: asked,
    value: value.reveal(),
    value_version: head.version,
    is_inherited: asked !== environment,
    updated_at: isoTime(head.updatedAtMs),
    expires_at: isoTimeOrNull(head.expiresAtOverrideMs ?? secret.expiresAtMs),
  };
}
