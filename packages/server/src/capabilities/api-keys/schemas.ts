import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { orderQuery, pageQuery } from '../../platform/http/pagination.js';

export const keyListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional(),
  order: orderQuery,
});

/** Roles, grants and rate limits of a key are not built yet: they are refused as unknown fields, never dropped. */
export const keyCreateBody = z.object({ name: z.string().trim().min(1).max(LIMITS.nameCharactersMax) });

export const keyParams = z.object({ id: z.string().min(1).max(LIMITS.nameCharactersMax) });

export const keyRowResponse = z.object({
  id: z.string(),
  key_id: z.string(),
  key_prefix: z.string(),
  key_type: z.string(),
  name: z.string(),
  active: z.boolean(),
  created_at: z.string(),
  last_used_at: z.string().nullable(),
  rate_limit_requests: z.number().nullable(),
  rate_limit_window_sec: z.number().nullable(),
});

export const keyCreatedResponse = z.object({
  id: z.string(),
  key_id: z.string(),
  api_key: z.string(),
  key_prefix: z.string(),
  key_type: z.string(),
  name: z.string(),
  role_ids: z.array(z.string()),
  message: z.string(),
});

export const keyRevokedResponse = z.object({ revoked: z.literal(true) });
