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
const actionQuery = name
  .optional()
  .describe('An action (`vault.create`), or a verb of any resource (`create`); in the past tense as well.')
  .meta({ examples: ['vault.detokenize'] });
const resourceTypeQuery = name.optional().describe('Acts on this kind of resource.');

export const auditListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional().describe('The one order there is.'),
  order: orderQuery,
  action: actionQuery,
  resource_type: resourceTypeQuery,
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
  action: actionQuery,
  action_prefix: name.optional().describe('Actions that begin with this text.'),
  resource_type: resourceTypeQuery,
});

/** A number of the chain, as `first_bad_sequence` and `head` name them. */
const sequenceQuery = z
  .string()
  .regex(/^[0-9]{1,15}$/, 'must be a sequence number')
  .transform(Number)
  .optional();

export const auditVerifyQuery = z
  .object({
    from: sequenceQuery.describe('Number of the first row; absent: the oldest.'),
    to: sequenceQuery.describe('Number of the last row; absent: the newest.'),
  })
  .refine(({ from = 0, to = from }) => from <= to, { path: ['to'], message: 'must not be below from' });

export const auditRowResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    action: z
      .string()
      .describe('What was done: `<resource>.<verb>`.')
      .meta({ examples: ['vault.detokenize'] }),
    resource_type: z
      .string()
      .describe('What it was done to.')
      .meta({ examples: ['vault'] }),
    resource_id: z.string().nullable().describe('Its id; null where it has none.'),
    details: z.record(z.string(), z.unknown()).describe('What was done, never a value.'),
    details_redacted: z
      .literal(true)
      .optional()
      .describe('Present where the caller may not read the details.'),
    ip_address: z.string().nullable().describe('Of the caller: the peer, or whom a trusted proxy names.'),
    created_at: instantText,
  })
  .meta({ id: 'AuditLog' });

export const auditEventResponse = auditRowResponse.extend({
  sequence_number: z.string().describe('Its place in the chain of the tenant, without a gap.'),
  cursor: z.string().describe('A feed that is asked with it goes on after this row.'),
});

export const auditVerifyResponse = z.object({
  ok: z.boolean().describe('No row is bad.'),
  checked: z.number().describe('Rows that were verified.'),
  first_bad_sequence: z
    .string()
    .nullable()
    .describe(
      'Number of the first bad row; null: there is none. One behind the head: a row of the log is not in the chain.',
    ),
  head: z
    .object({ sequence_number: z.string(), row_hash: z.string().describe('SHA-256 in hexadecimal.') })
    .describe('The last row of the chain, as it was when the verification began.'),
  unsealed_tail: z.number().describe('Committed rows that have no place in the chain yet; no fault.'),
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
