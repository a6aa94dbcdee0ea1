import { AppError, isAppError } from '../../../kernel/errors.js';

export function signatureMissing(headers: readonly string[]): AppError {
  return new AppError('signature_missing', `This route takes signed requests: without ${headers.join(', ')}`);
}

export function signatureExpired(header: string, distanceSec: number, toleranceSec: number): AppError {
  return new AppError(
    'signature_expired',
    `${header} is ${distanceSec} s from the time here, and this route takes ${toleranceSec} s`,
  );
}

export function invalidSignature(publicMessage: string): AppError {
  return new AppError('invalid_signature', publicMessage);
}

export function nonceTaken(): AppError {
  return invalidSignature('A request with this nonce was taken already');
}

/** One text, whether the caller is no client, a client without a secret, or one whose secret cannot be used. */
export function noSigningSecret(cause?: AppError): AppError {
  return new AppError(
    'invalid_signature',
    'This route takes signed requests, and the caller is no client with a signing secret that can be used',
    cause && { detail: `${cause.type}: ${cause.publicMessage}`, cause },
  );
}

/** Refused for what it is, not for want of what judges it. */
export function isSignatureRefusal(error: unknown): boolean {
  const types = ['signature_missing', 'signature_expired', 'invalid_signature'] as const;
  return types.some((type) => isAppError(error, type));
}
