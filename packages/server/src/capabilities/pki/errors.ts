import { AppError, notFound, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import { CLIENT_ROOT_NAME } from '../client-ca/index.js';

export const rootNotFound = () => notFound('Root');
export const roleNotFound = () => notFound('Role');
export const certificateNotFound = () => notFound('Certificate');

export function reservedRoot(): AppError {
  return new AppError(
    'forbidden',
    `${CLIENT_ROOT_NAME} is the authority behind client credentials: it can only be read`,
  );
}

export function issuingNotHeld(): AppError {
  return new AppError(
    'privilege_escalation',
    'This credential does not hold pki:issue, so it cannot let ACME clients have certificates',
  );
}

export function rootNameTaken(name: string): AppError {
  return new AppError('conflict', `An active root named "${name}" already exists`);
}

export function roleNameTaken(name: string): AppError {
  return new AppError('conflict', `A role named "${name}" already exists below this root`);
}

export function rootRetired(name: string): AppError {
  return new AppError('conflict', `The root "${name}" is retired: it signs nothing new`);
}

export function roleChanged(): AppError {
  return new AppError('conflict', 'The role was changed while the certificate was made: ask again');
}

export function tooManyRoots(): AppError {
  return new AppError(
    'conflict',
    `At most ${LIMITS.pkiRootsMax} roots can exist in one mode, retired ones too`,
  );
}

export function tooManyRoles(): AppError {
  return new AppError('conflict', `At most ${LIMITS.pkiRolesMax} roles can exist below one root`);
}

export function nothingAllowed(): AppError {
  return validationError('role', 'allowed_domains of the role is empty, so nothing may be issued under it');
}
