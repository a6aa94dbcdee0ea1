import { AppError } from '../../kernel/errors.js';
import type { Grant } from '../../kernel/principal.js';
import type { KeyRateLimit } from '../../kernel/rate-limit.js';

/** The same for a role of users, of another tenant's and one that does not exist. */
export function roleNotForKeys(roleId: string): AppError {
  return new AppError('forbidden', `The role ${roleId} is none that a key may have`);
}

export function privilegeEscalation({ permission, resource }: Grant): AppError {
  const grant = resource === null ? permission : `${permission} for "${resource}"`;
  return new AppError(
    'privilege_escalation',
    `This credential does not hold ${grant}, so it cannot grant it`,
  );
}

export function looserRateLimit({ requests, windowSeconds }: KeyRateLimit): AppError {
  return new AppError(
    'privilege_escalation',
    `This credential is limited to ${requests} requests in ${windowSeconds} s, so it cannot make a key that may do more`,
  );
}
