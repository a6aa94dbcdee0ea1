import { AppError } from '../../kernel/errors.js';

/** With no key there is nothing else to answer (kms-admin.md §3.4). */
export function tenantSealed(detail: string, cause?: unknown): AppError {
  return new AppError('tenant_sealed', "The tenant's encryption key is not available", {
    retryAfterSeconds: 30,
    detail,
    cause,
  });
}

/** Stops the start: with a wrong root key every stored value would look broken. */
export class RootKeyMismatch extends Error {
  override readonly name = 'RootKeyMismatch';
  constructor() {
    super(
      'The root key is not the one that the stored data was wrapped with. ' +
        'Put back the former MASTER_KEY_B64 or root key file; nothing was changed.',
    );
  }
}
