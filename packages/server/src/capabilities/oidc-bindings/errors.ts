import { AppError } from '../../kernel/errors.js';
import type { Grant } from '../../kernel/principal.js';

/** The same for a role of users, of another tenant's and one that does not exist. */
export function roleNotForTokens(roleId: string): AppError {
  return new AppError('forbidden', `The role ${roleId} is none that a workload's token may have`);
}

export function privilegeEscalation({ permission, resource }: Grant): AppError {
  const grant = resource === null ? permission : `${permission} for "${resource}"`;
  return new AppError(
    'privilege_escalation',
    `This credential does not hold ${grant}, so no binding of it can give it`,
  );
}

export function tooManyBindings(bindingsMax: number): AppError {
  return new AppError('conflict', `At most ${bindingsMax} OIDC bindings can exist in one mode`);
}

export function tooManyDeletedBindings(keptMax: number): AppError {
  return new AppError(
    'conflict',
    `At most ${keptMax} OIDC bindings can exist in one mode, those deleted in the last 90 days counted too`,
  );
}
