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

export function noDryRunOfRoutes(): AppError {
  return validationError('X-Knox-Dry-Run', 'is of ephemeral calls: a call of a route would be sent');
}

export function twoUpstreamCredentials(): AppError {
  return validationError(
    'X-Knox-Upstream-Authorization',
    'cannot be sent together with X-Knox-Upstream-Auth-Secret',
  );
}

/** It says how a secret is sent: without one it would say nothing. */
export function schemeWithoutSecret(): AppError {
  return validationError('X-Knox-Upstream-Auth-Scheme', 'is sent together with X-Knox-Upstream-Auth-Secret');
}

export function upstreamSecretNotFound(): AppError {
  return new AppError(
    'secret_not_found',
    'X-Knox-Upstream-Auth-Secret names no secret of this tenant and mode',
  );
}

/** A certificate, or what no header can hold. */
export function unsendableSecret(rule: string): AppError {
  return validationError('X-Knox-Upstream-Auth-Secret', rule);
}

/** Whoever sends it relies on what it does at `/v1/proxy`; a gateway token has said it already. */
export function notOfGateway(name: string): AppError {
  return validationError(name, 'is not for calls with a gateway token, which names credential and host');
}

export function loopDetected(): AppError {
  return new AppError('loop_detected', 'This call has already passed through this installation');
}

export function ipNotAllowed(ip: string | null): AppError {
  const text = 'The address that this request comes from is not on the allowlist of the route';
  return new AppError('ip_not_allowed', text, { extra: { ip } });
}

/** Missing, deleted and disabled: one answer (dataplane §5.3). */
export function routeNotFound(): AppError {
  return new AppError('route_not_found', 'No route of this name, slug or id can be called');
}

export function environmentNotConfigured(name: string): AppError {
  return new AppError(
    'environment_not_configured',
    `The route is not configured for the environment ${JSON.stringify(name.slice(0, 100))}`,
  );
}

export function environmentDisabled(name: string): AppError {
  return new AppError('environment_disabled', `The route is switched off in the environment "${name}"`);
}

export function methodNotAllowed(method: string, allow: readonly string[]): AppError {
  return new AppError('method_not_allowed', `The route does not take ${method}`, { extra: { allow } });
}

export function pathRefused(rule: string): AppError {
  return validationError('path', rule);
}

/** One text for every caller that the tenant does not know, whether the route exists or not (dataplane §5.3). */
export function callerUnknown(): AppError {
  return new AppError(
    'authentication_required',
    'Send an API key as "x-knoxcall-key: <key>" or an access token as "Authorization: Bearer <token>"',
    { headers: { 'www-authenticate': 'Bearer, DPoP' } },
  );
}

export function tenantUnknown(): AppError {
  return new AppError('tenant_not_found', 'No tenant has this host');
}

export function tenantInactive(): AppError {
  return new AppError('subscription_inactive', 'The subscription of this tenant is not active');
}

export function headerValueRefused(name: string): AppError {
  return validationError(name, 'what the route injects holds a line break or NUL');
}

export function tooLongToRender(bytesMax: number): AppError {
  return new AppError(
    'payload_too_large',
    `A body that holds expressions, is signed or is changed must not be above ${bytesMax} bytes`,
  );
}

export function actedOnEncoded(): AppError {
  return new AppError(
    'redaction_failed',
    'The answer is encoded, and the field actions of the route cannot read it',
  );
}
