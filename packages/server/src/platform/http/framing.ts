import type { IncomingMessage } from 'node:http';
import { AppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';

/**
 * What Node's parser lets through although peers before us may read the message otherwise: such a request is refused,
 * and its connection carries no other (RFC 9112 §6.1, §9.6).
 */
export function framingFault({ rawHeaders, headers, httpVersion }: IncomingMessage): AppError | null {
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return new AppError('validation_error', 'The request must be HTTP/1.1 or HTTP/1.0');
  // A coding could be among those that Node dropped.
  if (rawHeaders.length > 2 * LIMITS.requestHeadersMax) {
    return new AppError(
      'headers_too_large',
      `There are more than ${LIMITS.requestHeadersMax} request headers`,
    );
  }
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return null;
  if (coding.toLowerCase() !== 'chunked')
    return new AppError('validation_error', 'Transfer-Encoding must be chunked and nothing else');
  return httpVersion === '1.0'
    ? new AppError('validation_error', 'Transfer-Encoding is not known to HTTP/1.0')
    : null;
}
