import { AppError, rateLimitExceeded } from '../../kernel/errors.js';

export function tooManySignups(waitMs: number): AppError {
  return rateLimitExceeded('Too many signups from this address; try again later', {
    retryAfterSeconds: waitMs / 1000,
  });
}

export function slugTaken(): AppError {
  return new AppError('conflict', 'tenant_slug is taken; choose another or leave it out');
}

export function alreadyClaimed(): AppError {
  return new AppError('conflict', 'This signup was claimed already, and its key is shown once');
}

export function tooManyAtOnce(): AppError {
  return rateLimitExceeded('Too many accounts are being made at once', { retryAfterSeconds: 1 });
}

/** Told to who holds the link, and with it the address. */
export class LinkRefused extends Error {
  override readonly name = 'LinkRefused';
  constructor(
    readonly status: 404 | 409,
    readonly text: string,
  ) {
    super(text);
  }
}
