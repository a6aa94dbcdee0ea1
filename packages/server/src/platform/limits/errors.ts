import { AppError } from '../../kernel/errors.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';

export function rateLimitExceeded(status: RateLimitStatus): AppError {
  return new AppError(
    'rate_limit_exceeded',
    `More than ${status.limit} requests in ${status.windowSec} s (limit of the ${status.scope})`,
    { rateLimit: status },
  );
}
