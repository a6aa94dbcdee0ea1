import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { instantText } from '../../../platform/http/pagination.js';
import type { ExternalKey } from '../account-store.js';
import type { CreatedKey } from './service.js';

const pathName = z.string().min(1).max(LIMITS.nameCharactersMax);

export const roleParams = z.object({
  name: pathName.describe('Name or id of the root.'),
  role: pathName.describe('Name or id of the role.'),
});

export const keyParams = roleParams.extend({ kid: pathName.describe('Of the key.') });

export const createKeyBody = z.object({
  label: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .nullable()
    .default(null)
    .describe('For people: whom the key is meant for.'),
});

export const keyResponse = z
  .object({
    kid: z.string().describe('What the client is given as the id of the key.'),
    label: z.string().nullable(),
    account_id: z
      .string()
      .nullable()
      .describe('Of the one account that the key is good for; null while it was not used.'),
    bound_at: instantText.nullable(),
    created_at: instantText,
  })
  .meta({ id: 'AcmeKey' });

export const createdKeyResponse = keyResponse
  .extend({ hmac_key: z.string().describe('Base64url of 32 bytes, for HS256. Shown once.') })
  .meta({ id: 'CreatedAcmeKey' });

export const deletedResponse = z.object({ deleted: z.literal(true) });

export function keyWire(key: ExternalKey): z.input<typeof keyResponse> {
  return {
    kid: key.id,
    label: key.label,
    account_id: key.accountId,
    bound_at: isoTimeOrNull(key.boundAtMs),
    created_at: isoTime(key.createdAtMs),
  };
}

export function createdKeyWire(key: CreatedKey): z.input<typeof createdKeyResponse> {
  return { ...keyWire(key), hmac_key: key.hmacKey.reveal() };
}
