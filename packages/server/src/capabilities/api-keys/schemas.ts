import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';

export const keyListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional().describe('The one order there is.'),
  order: orderQuery,
});

/** Roles, grants and rate limits of a key are not built yet: they are refused as unknown fields, never dropped. */
export const keyCreateBody = z.object({
  name: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .describe('What the key is for.')
    .meta({ examples: ['payments service'] }),
});

export const keyParams = z.object({
  id: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Row id or key id.'),
});

const keyId = z
  .string()
  .describe('The public half of the key, safe in logs.')
  .meta({ examples: ['tk_live_3fkq9tzw2bxc'] });
const keyType = z.string().describe('`standard` of live mode, `test` of test mode.');
const rowId = z.string().meta({ format: 'uuid' });

export const keyRowResponse = z
  .object({
    id: rowId,
    key_id: keyId,
    key_prefix: z.string().describe('The beginning of the key, for people.'),
    key_type: keyType,
    name: z.string(),
    active: z.boolean().describe('False once it is revoked.'),
    created_at: instantText,
    last_used_at: instantText.nullable().describe('Late by up to a minute; null: never.'),
    rate_limit_requests: z.number().nullable().describe('Requests in a window; null: the limit of the plan.'),
    rate_limit_window_sec: z.number().nullable().describe('Length of that window in seconds.'),
  })
  .meta({ id: 'ApiKey' });

export const keyCreatedResponse = z
  .object({
    id: rowId,
    key_id: keyId,
    api_key: z.string().describe('The key itself: here and never again.'),
    key_prefix: z.string(),
    key_type: keyType,
    name: z.string(),
    role_ids: z.array(z.string()),
    message: z.string(),
  })
  .meta({ id: 'CreatedApiKey' });

export const keyRevokedResponse = z.object({ revoked: z.literal(true) }).meta({ id: 'Revoked' });
