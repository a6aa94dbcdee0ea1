import { AppError, notFound, validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { RequestSource } from '../../platform/http/request-source.js';

export function clientNotFound(): AppError {
  return notFound('Client');
}

export function credentialNotFound(): AppError {
  return notFound('Client credential');
}

export function tooManyClients(): AppError {
  return new AppError('conflict', `At most ${LIMITS.clientsMax} clients can exist in one mode`);
}

export function tooManyCredentials(): AppError {
  return new AppError('conflict', `A client can have at most ${LIMITS.clientCredentialsMax} credentials`);
}

export function sameNetwork(): AppError {
  return new AppError('conflict', 'This client has a credential of the same network');
}

export function sameThumbprint(): AppError {
  return new AppError('conflict', 'A client of this mode has a credential of the same certificate');
}

/** The credential of a client's own address is on as long as there is that address (clients-pki.md §1.4). */
export function ownAddressIsOn(): AppError {
  return new AppError(
    'conflict',
    'This is the client’s own ip_address, which is always on: change or empty ip_address, or disable the client',
  );
}

/** The two texts of clients-pki.md §1.4, and what was seen: whether a certificate arrived is asked as often as the address. */
export function clientNotAuthorized(
  { address, certificate }: RequestSource,
  isKnownElsewhere: boolean,
): AppError {
  const message = isKnownElsewhere
    ? 'IP address not authorized for this route'
    : 'Client authorization required but IP not found';
  return new AppError('client_not_authorized', message, {
    extra: { ip: address, certificate_sha256: certificate?.sha256Thumbprint ?? null },
  });
}

export function noSigningSecret(): AppError {
  return validationError('signing_secret_id', 'names no secret of the type string of this mode');
}
