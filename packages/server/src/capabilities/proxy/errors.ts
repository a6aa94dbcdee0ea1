import { AppError, validationError } from '../../kernel/errors.js';

export function missingProxyUrl(): AppError {
  return new AppError('missing_proxy_url', 'X-Knox-Proxy-URL names the upstream and is required');
}

export function repeatedProxyUrl(): AppError {
  return new AppError('invalid_proxy_url', 'X-Knox-Proxy-URL was sent more than once');
}

export function repeatedHeader(name: string): AppError {
  return validationError(name, 'was sent more than once');
}

export function twoUpstreamCredentials(): AppError {
  return validationError(
    'X-Knox-Upstream-Authorization',
    'cannot be sent together with X-Knox-Upstream-Auth-Secret',
  );
}

/** A caller who sends it relies on what it does: forwarding without it would do something else. */
export function unsupportedHeader(name: string): AppError {
  return validationError(name, 'is not supported by this version');
}

export function loopDetected(): AppError {
  return new AppError('loop_detected', 'This call has already passed through this installation');
}

export function ipNotAllowed(): AppError {
  return new AppError(
    'ip_not_allowed',
    'The address that this request comes from is not on the allowlist of the route',
  );
}
