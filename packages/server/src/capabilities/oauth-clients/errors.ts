import { AppError, notFound } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function clientNotFound(): AppError {
  return notFound('OAuth client');
}

export function scopeNotHeld(permission: string): AppError {
  return new AppError(
    'privilege_escalation',
    `This credential does not hold ${permission}, so it cannot give it to a client`,
  );
}

export function systemClient(): AppError {
  return new AppError('forbidden', 'The client of the CLI is made by the server and cannot be changed');
}

export function clientRevoked(): AppError {
  return new AppError('conflict', 'The OAuth client is revoked');
}

export function publicClientHasNoSecret(): AppError {
  return new AppError('conflict', 'A public client has no secret');
}

export function tooManyClients(): AppError {
  return new AppError('conflict', `There are ${LIMITS.oauthClientsMax} OAuth clients: revoke one first`);
}
