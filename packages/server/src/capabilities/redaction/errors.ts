import { AppError } from '../../kernel/errors.js';

/** A body that a rule covers cannot be inspected, so it must not leave (dataplane §7). The reason names no content. */
export function redactionFailed(reason: string): AppError {
  return new AppError(
    'redaction_failed',
    `A redaction rule covers this answer, which cannot be inspected: ${reason}`,
  );
}

export function tooManyRules(rulesMax: number): AppError {
  return new AppError('conflict', `At most ${rulesMax} redaction rules can exist in one mode`);
}

export function redactionBusy(): AppError {
  return new AppError('dependency_unavailable', 'Too many regular expressions are checked at once', {
    retryAfterSeconds: 1,
  });
}
