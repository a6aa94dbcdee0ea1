import { AppError, isAppError } from '../../kernel/errors.js';
import { targetUnreachable } from './transports/errors.js';

const TARGET_RETRY_SECONDS = 5;

/** Types of the errors of a call that goes to the database. */
export const DATABASE_ERRORS = [
  'database_error',
  'dependency_unavailable',
  'ssrf_blocked',
  'tenant_sealed',
] as const;

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

export function leaseLost(): AppError {
  return new AppError('conflict', 'The lease was revoked while it was being made or renewed');
}

export function leaseNotRenewable(status: string): AppError {
  return new AppError('conflict', `A lease that is ${status} cannot be renewed`);
}

export function revocationPending(cause: AppError): AppError {
  return new AppError(
    'dependency_unavailable',
    'The database could not be reached; the lease will be revoked as soon as it can',
    { dependency: 'target_database', retryAfterSeconds: TARGET_RETRY_SECONDS, cause },
  );
}

/** What is told of a database may name what stands in it, and a hostile one names what it likes. */
const TOLD_CHARACTERS_MAX = 1_000;
const shortened = (text: string) =>
  text.length > TOLD_CHARACTERS_MAX ? `${text.slice(0, TOLD_CHARACTERS_MAX)}…` : text;
/** Of the sentences of one session. */
const WARNINGS_MAX = 50;

export function boundedWarnings(warnings: readonly string[]): string[] {
  return warnings.slice(0, WARNINGS_MAX).map(shortened);
}

/** `code` is the engine's own (SQLSTATE, number or name); `message` has passed `redactedMessage`. */
export function databaseError(code: string, message: string): AppError {
  return new AppError('database_error', `The database refused (${code}): ${shortened(message)}`, {
    reason: code,
  });
}

const USERNAME_TAKEN = 'username_taken';

/** A user of the drawn name was there before: it is somebody else's, and was not touched (contract dyn-db.md §3.3). */
export function usernameTaken(): AppError {
  return databaseError(USERNAME_TAKEN, 'a user of the drawn name exists already');
}

export function isUsernameTaken(error: unknown): boolean {
  return isAppError(error, 'database_error') && error.reason === USERNAME_TAKEN;
}

/** What its callers have under way there already may be waiting for databases that do not answer. */
export function tooManyActs(what: string): AppError {
  return targetUnreachable(`Too many calls to ${what} are under way`, 'bound of acts under way');
}

/** The target database went away or did not answer in time; `detail` is for operators, `code` the engine's own. */
export function targetUnavailable(detail: string, code?: string): AppError {
  return targetUnreachable('The database cannot be reached or did not answer in time', detail, code);
}

/** Every GRANT on it, anybody's, would soon fail (contract dyn-db.md §3.1). */
export function tableAclFull(table: string): AppError {
  return new AppError(
    'conflict',
    `The access list of table ${shortened(table)} has 7 KiB or more: no further user is granted anything on it; use a template, or grant to one role that the users are members of`,
  );
}

/** What a test finds: the admin lacks a right. `hint` is what an operator would run. */
export function grantMissing(problem: string, hint: string): AppError {
  return new AppError('database_error', shortened(problem), { extra: { hint: shortened(hint) } });
}
