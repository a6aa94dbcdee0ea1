import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantQuery, instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';

const name = z.string().min(1).max(LIMITS.nameCharactersMax);

export const auditListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional(),
  order: orderQuery,
  action: name
    .optional()
    .describe('One action, all of a resource (`vault.*`) or all of a verb (`*.delete`).')
    .meta({ examples: ['vault.detokenize'] }),
  resource_type: name.optional(),
  user_id: z.uuid().toLowerCase().optional().describe('Acts of this user.'),
  sandbox: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('Acts of test mode, or of live mode; absent: both.'),
  from: instantQuery.optional().describe('Not before this time.'),
  to: instantQuery.optional().describe('Before this time.'),
});

export const auditRowResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    action: z.string().meta({ examples: ['vault.detokenize'] }),
    resource_type: z.string().meta({ examples: ['vault'] }),
    resource_id: z.string().nullable(),
    details: z.record(z.string(), z.unknown()).describe('What was done, never a value.'),
    details_redacted: z
      .literal(true)
      .optional()
      .describe('Present where the caller may not read the details.'),
    ip_address: z.string().nullable().describe('Of the peer.'),
    created_at: instantText,
  })
  .meta({ id: 'AuditLog' });
