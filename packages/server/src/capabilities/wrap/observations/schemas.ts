import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { instantText } from '../../../platform/http/pagination.js';
import { DROP_REASONS } from './judging.js';
import type { ReportResult } from './service.js';
import type { KeptObservation } from './store.js';

/** Its fields are judged by themselves: a bad row is dropped, not the report. */
const observation = z.strictObject({
  host: z.unknown().describe('A DNS name.'),
  first_segment: z
    .unknown()
    .describe('Of the path; what does not read as words of an API is kept as [REDACTED].'),
  method: z.unknown(),
  header_name: z.unknown().describe('The header that held the credential; never its value.'),
  count: z.unknown().describe('1 or more.'),
  first_seen: z.unknown().describe('ISO 8601.'),
  last_seen: z.unknown().describe('ISO 8601.'),
});

export const reportBody = z.strictObject({
  sdk: z
    .string()
    .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/, 'must have 1 to 100 printable ASCII characters')
    .describe('Name and version of the SDK.')
    .meta({ examples: ['knoxcall-node/1.4.0'] }),
  observations: z
    .array(observation)
    .max(LIMITS.egressObservationsMax, `must have at most ${LIMITS.egressObservationsMax} entries`),
});

export const reportResponse = z
  .object({
    accepted: z.number().int(),
    dropped: z.number().int(),
    reasons: z
      .partialRecord(z.enum(DROP_REASONS), z.number().int())
      .describe('How many were dropped for what.'),
    redacted: z.number().int().optional().describe('In how many of those accepted a segment was masked.'),
  })
  .meta({ id: 'EgressReport' });

export function reportWire({
  accepted,
  dropped,
  reasons,
  redacted,
}: ReportResult): z.input<typeof reportResponse> {
  return {
    accepted,
    dropped,
    reasons: Object.fromEntries(reasons),
    ...(redacted > 0 && { redacted }),
  };
}

export const observationsResponse = z
  .object({
    observations: z.array(
      z.object({
        sdk: z.string(),
        host: z.string(),
        first_segment: z.string(),
        method: z.string(),
        header_name: z.string(),
        count: z.number().int(),
        first_seen: instantText,
        last_seen: instantText,
      }),
    ),
  })
  .meta({ id: 'EgressObservations' });

export function observationsWire(kept: readonly KeptObservation[]): z.input<typeof observationsResponse> {
  return {
    observations: kept.map((one) => ({
      sdk: one.sdk,
      host: one.host,
      first_segment: one.firstSegment,
      method: one.method,
      header_name: one.headerName,
      count: one.count,
      first_seen: isoTime(one.firstSeenMs),
      last_seen: isoTime(one.lastSeenMs),
    })),
  };
}
