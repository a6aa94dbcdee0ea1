import { type AppError, validationError, validationErrors } from '../../kernel/errors.js';
import type { EgressServerTerms, StoredEgressServer } from './store.js';

const LOGIN_BYTES_MAX = 255;

/** What the fields must be to each other, by kind. */
export function requireTerms(terms: EgressServerTerms, hasPassword: boolean): void {
  const problems = new Map<string, string[]>();
  const { kind, port, username } = terms;
  if (kind === 'source_address') {
    if (port !== null) problems.set('port', ['must be null: a source address has none']);
    if (username !== null) problems.set('username', ['must be null: a source address has none']);
    if (hasPassword) problems.set('password', ['must be null: a source address has none']);
  } else {
    if (port === null) problems.set('port', [`is due for ${kind}`]);
    if (username !== null && !hasPassword) problems.set('password', ['is due with username']);
    if (username === null && hasPassword) problems.set('username', ['is due with password']);
    // RFC 7617 §2: the first colon ends it.
    if (kind === 'http_proxy' && username?.includes(':'))
      problems.set('username', ['must not hold a colon for http_proxy']);
  }
  if (problems.size > 0) throw validationErrors(problems);
}

/** RFC 1929 §2 gives each one byte for its length. */
export const fitsLogin = (text: string): boolean => Buffer.byteLength(text) <= LOGIN_BYTES_MAX;

/** Whoever follows failovers comes to an end. */
export function requireFailover(
  id: string,
  failoverId: string | null,
  servers: readonly StoredEgressServer[],
): void {
  const byId = new Map(servers.map((server) => [server.id, server]));
  if (failoverId !== null && failoverId !== id && !byId.has(failoverId))
    throw failoverProblem('names no egress server');
  for (let at = failoverId, steps = 0; at !== null && steps <= servers.length; steps++) {
    if (at === id) throw failoverProblem('leads back to this egress server');
    at = byId.get(at)?.failoverId ?? null;
  }
}

function failoverProblem(rule: string): AppError {
  return validationError('failover_id', rule);
}
