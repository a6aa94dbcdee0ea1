import { AppError } from '../../../kernel/errors.js';
import type { Resolution } from '../../../platform/egress/resolver.js';

const RETRY_SECONDS = 5;

/** The public text names no address: `detail` does, for the log. */
export function targetUnreachable(publicMessage: string, detail: string, reason?: string): AppError {
  return new AppError('dependency_unavailable', publicMessage, {
    dependency: 'target_database',
    retryAfterSeconds: RETRY_SECONDS,
    detail,
    ...(reason !== undefined && { reason }),
  });
}

const NOT_FOUND_TEXT = {
  no_such_name: "The name of the database's host does not exist",
  no_address: "The name of the database's host has no address",
  servers_failed: "The name of the database's host could not be resolved",
} as const;

export function hostNotFound(name: string, resolution: Extract<Resolution, { kind: 'none' }>): AppError {
  return targetUnreachable(NOT_FOUND_TEXT[resolution.reason], `${name}: ${resolution.detail}`);
}

/** A server advertises such a host: those of connections were judged when they were written. */
export function hostRefused(host: string, rule: string): AppError {
  return new AppError('ssrf_blocked', 'The database named a host that cannot be judged', {
    detail: `${JSON.stringify(host.slice(0, 300))} ${rule}`,
    reason: 'host_not_judged',
  });
}

export function tooManyTargets(max: number): AppError {
  return new AppError('ssrf_blocked', 'The database named too many hosts', {
    detail: `more than ${max}`,
    reason: 'too_many_targets',
  });
}
