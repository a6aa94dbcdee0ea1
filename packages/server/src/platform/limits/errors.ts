import { type AppError, rateLimitExceeded } from '../../kernel/errors.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';

export function requestLimitExceeded(status: RateLimitStatus): AppError {
  const message = `More than ${status.limit} requests in ${status.windowSec} s (limit of the ${status.scope})`;
  return rateLimitExceeded(message, { rateLimit: status });
}
