import { AppError } from '../../kernel/errors.js';

export function connectionNameTaken(name: string): AppError {
  return new AppError('conflict', `A connection named "${name}" exists already`);
}

export function roleNameTaken(name: string): AppError {
  return new AppError('conflict', `A role named "${name}" exists already in this connection`);
}

export function tooManyConnections(max: number): AppError {
  return new AppError('conflict', `At most ${max} connections can exist in one mode`);
}

export function tooManyRoles(max: number): AppError {
  return new AppError('conflict', `At most ${max} roles can exist in one connection`);
}

/** The words "has N active credential lease(s)" are the SDKs' (dyn-db.md §2.9). */
export function hasLiveLeases(what: string, count: number): AppError {
  return new AppError(
    'conflict',
    `${what} has ${count} active credential lease(s); revoke them first, or send ?force=true to leave their users behind`,
  );
}

export function connectionDisabled(name: string): AppError {
  return new AppError('connection_disabled', `Connection "${name}" is disabled`);
}

export function leaseLimit(what: string, max: number): AppError {
  return new AppError('plan_limit', `${what} is limited to ${max} live leases`);
}

export function mintForbidden(resource: string): AppError {
  return new AppError('forbidden', `Missing permission dyn-db:mint for "${resource}"`);
}
