import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Principal } from '../../kernel/principal.js';
import {
  feedQuery,
  instantQuery,
  instantText,
  orderQuery,
  pageQuery,
} from '../../platform/http/pagination.js';
import type { TenantVerification } from './chain/verification.js';
import { mayReadDetails } from './details.js';
import type { AuditRow } from './store.js';

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

export const auditEventsQuery = z.object({
  ...feedQuery,
  action: name.optional(),
  action_prefix: name.optional(),
  resource_type: name.optional(),
});

/** A number of the chain, as `first_bad_sequence` and `head` name them. */
const sequenceQuery = z
  .string()
  .regex(/^[0-9]{1,15}$/, 'must be a sequence number')
  .transform(Number)
  .optional();

export const auditVerifyQuery = z
  .object({ from: sequenceQuery, to: sequenceQuery })
  .refine(({ from = 0, to = from }) => from <= to, { path: ['to'], message: 'must not be below from' });

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

export const auditEventResponse = auditRowResponse.extend({
  sequence_number: z.string(),
  cursor: z.string(),
});

export const auditVerifyResponse = z.object({
  ok: z.boolean(),
  checked: z.number(),
  first_bad_sequence: z.string().nullable(),
  head: z.object({ sequence_number: z.string(), row_hash: z.string() }),
  unsealed_tail: z.number(),
});

export function toRowResponse(row: AuditRow, principal: Principal): z.input<typeof auditRowResponse> {
  return {
    id: row.id,
    action: row.action,
    resource_type: row.resourceType,
    resource_id: row.resourceId,
    ...(mayReadDetails(principal)
      ? { details: row.details }
      : { details: {}, details_redacted: true as const }),
    ip_address: row.ipAddress,
    created_at: isoTime(row.createdAtMs),
  };
}

export function toVerifyResponse(verification: TenantVerification): z.input<typeof auditVerifyResponse> {
  const { checked, firstBad, head, unsealedTail } = verification;
  return {
    ok: firstBad === null,
    checked,
    first_bad_sequence: firstBad === null ? null : String(firstBad.sequenceNumber),
    head: { sequence_number: String(head.sequenceNumber), row_hash: head.rowHash.toString('hex') },
    unsealed_tail: unsealedTail,
  };
}
