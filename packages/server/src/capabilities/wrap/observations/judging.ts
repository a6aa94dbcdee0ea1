import { LIMITS } from '../../../kernel/limits.js';
import { hostEntryProblem, withoutRootDot } from '../../../platform/egress/name-policy.js';
import { harmlessSegment } from './segments.js';

/** As an SDK sends it; nothing of it is trusted. */
export interface SentObservation {
  readonly host?: unknown;
  readonly first_segment?: unknown;
  readonly method?: unknown;
  readonly header_name?: unknown;
  readonly count?: unknown;
  readonly first_seen?: unknown;
  readonly last_seen?: unknown;
}

/** A kind of call that does not pass through here, and how often it was seen. */
export interface Observation {
  readonly host: string;
  readonly firstSegment: string;
  readonly method: string;
  readonly headerName: string;
  readonly count: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export const DROP_REASONS = [
  'invalid_host',
  'invalid_segment',
  'invalid_method',
  'invalid_header_name',
  'invalid_count',
  'invalid_time',
  'too_old',
  'too_many_kinds',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

export type Judged =
  | { readonly observation: Observation; readonly isRedacted: boolean }
  | { readonly dropped: DropReason };

const METHOD = /^[A-Z]{1,16}$/;
const HEADER_NAME = /^[a-z][a-z0-9-]{0,63}$/;
const SEGMENT_CHARACTERS_MAX = 2_048;
const COUNT_MAX = 1_000_000_000;
const TIME_CHARACTERS_MAX = 64;

/** One by one: a report with a bad row is still a report. */
export function judge(sent: SentObservation, nowMs: number): Judged {
  const host = hostOf(sent.host);
  if (host === null) return { dropped: 'invalid_host' };
  const segment = segmentOf(sent.first_segment);
  if (segment === null) return { dropped: 'invalid_segment' };
  const method = typeof sent.method === 'string' ? sent.method.toUpperCase() : '';
  if (!METHOD.test(method)) return { dropped: 'invalid_method' };
  const headerName = typeof sent.header_name === 'string' ? sent.header_name.toLowerCase() : '';
  if (!HEADER_NAME.test(headerName)) return { dropped: 'invalid_header_name' };
  const { count } = sent;
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 1 || count > COUNT_MAX)
    return { dropped: 'invalid_count' };
  const firstSeenMs = timeOf(sent.first_seen);
  const lastSeenMs = timeOf(sent.last_seen);
  if (firstSeenMs === null || lastSeenMs === null || firstSeenMs > lastSeenMs)
    return { dropped: 'invalid_time' };
  if (lastSeenMs < nowMs - LIMITS.egressObservationKeptMs) return { dropped: 'too_old' };
  const firstSegment = harmlessSegment(segment);
  return {
    observation: {
      host,
      firstSegment,
      method,
      headerName,
      count,
      // The clock of the SDK's machine may be ahead of ours.
      firstSeenMs: Math.min(firstSeenMs, nowMs),
      lastSeenMs: Math.min(lastSeenMs, nowMs),
    },
    isRedacted: firstSegment !== segment,
  };
}

function hostOf(sent: unknown): string | null {
  if (typeof sent !== 'string' || sent.length > LIMITS.nameCharactersMax || sent.includes('*')) return null;
  return hostEntryProblem(sent) === null ? withoutRootDot(sent.toLowerCase()) : null;
}

/** Without slashes; absent = the root. */
function segmentOf(sent: unknown): string | null {
  if (sent === undefined || sent === null) return '';
  if (typeof sent !== 'string' || sent.length > SEGMENT_CHARACTERS_MAX) return null;
  const bare = sent.replace(/^\//, '').replace(/\/$/, '');
  return bare.includes('/') ? null : bare;
}

function timeOf(sent: unknown): number | null {
  if (typeof sent !== 'string' || sent.length > TIME_CHARACTERS_MAX) return null;
  const ms = Date.parse(sent);
  return Number.isFinite(ms) && ms >= 0 ? ms : null;
}
