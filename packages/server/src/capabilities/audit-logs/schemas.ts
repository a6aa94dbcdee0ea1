import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantQuery, orderQuery, pageQuery } from '../../platform/http/pagination.js';

const name = z.string().min(1).max(LIMITS.nameCharactersMax);

export const auditListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional(),
  order: orderQuery,
  action: name.optional(),
  resource_type: name.optional(),
  user_id: z.uuid().toLowerCase().optional(),
  sandbox: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
  from: instantQuery.optional(),
  to: instantQuery.optional(),
});

export const auditRowResponse = z.object({
  id: z.string(),
  action: z.string(),
  resource_type: z.string(),
  resource_id: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  details_redacted: z.literal(true).optional(),
  ip_address: z.string().nullable(),
  created_at: z.string(),
});
