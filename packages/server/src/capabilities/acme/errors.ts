import { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

export function tooManyKeys(): AppError {
  return new AppError(
    'conflict',
    `A role has at most ${LIMITS.acmeExternalKeysMax} ACME keys; delete one first`,
  );
}
