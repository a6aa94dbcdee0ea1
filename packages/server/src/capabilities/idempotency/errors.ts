import { AppError } from '../../kernel/errors.js';

export function otherRequest(): AppError {
  return new AppError(
    'idempotency_conflict',
    'This X-Idempotency-Key was used with another body or query; take a new key for another request',
  );
}

/** 503 and not 409: clients never try a 409 again (auth.md §5). */
export function stillRunning(detail: string): AppError {
  return new AppError(
    'dependency_unavailable',
    'The first call with this X-Idempotency-Key is still running',
    {
      dependency: 'idempotency',
      retryAfterSeconds: 1,
      detail,
    },
  );
}
