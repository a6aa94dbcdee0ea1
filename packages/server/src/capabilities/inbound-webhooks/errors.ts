import { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function tooManyInboundWebhooks(): AppError {
  return new AppError(
    'conflict',
    `At most ${LIMITS.inboundWebhooksMax} inbound webhooks can exist in one mode`,
  );
}

export function nameTaken(): AppError {
  return new AppError('conflict', 'An inbound webhook of that name exists');
}

/** Also where there is no such tenant or name. */
export function invalidSignature(): AppError {
  return new AppError('invalid_signature', 'The signature does not fit the body');
}

export function signatureMissing(): AppError {
  return new AppError('signature_missing', 'The request has no signature header');
}

/** Said to whom a signature has proven to be the sender alone. */
export function replayWindowExceeded(reason: string): AppError {
  return new AppError('replay_window_exceeded', `The request ${reason}`);
}

/** The sender comes again, as it does where the target is away. */
export function inboxFull(): AppError {
  return new AppError('dependency_unavailable', 'Too many requests wait for the route of this webhook', {
    retryAfterSeconds: 30,
  });
}

export function noRoom(): AppError {
  return new AppError('conflict', 'Too many requests of this webhook are waiting');
}

export function isNoDeadLetter(): AppError {
  return new AppError(
    'conflict',
    'The delivery is still being tried; only what was given up can be replayed',
  );
}
