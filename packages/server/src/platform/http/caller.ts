import type { FastifyRequest } from 'fastify';
import { AppError, permissionMissing } from '../../kernel/errors.js';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller, Principal } from '../../kernel/principal.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import type { Hosts, ResolvedHost } from './hosts.js';

/** Implemented by the authentication capability: credential present, valid, of the host's mode, tenant active. */
export interface Authenticator {
  authenticate(
    rawHeaders: readonly string[],
    host: ResolvedHost,
    servesInactive?: boolean,
  ): Promise<Principal>;
}

/** Implemented by the plans capability: the general limits of dataplane.md §9. */
export interface RequestLimits {
  /** Throws 429 where a limit refuses; null where none holds for this caller. */
  admit(principal: Principal): RateLimitStatus | null | Promise<RateLimitStatus | null>;
}

/** What an endpoint asks of its caller. */
export interface AccessRule {
  readonly permission: string | null;
  /** Also reachable for a tenant that is paused or cancelled. */
  readonly servesInactive?: boolean;
}

/**
 * The head of the order of checks (auth.md §5), shared by the management API and the proxy. With `null` it ends at the
 * credential: limits and permission are then the caller's own steps.
 */
export type AuthenticateCaller = (
  request: FastifyRequest,
  access: AccessRule | null,
  /** Those that may hold our credential; the proxy leaves out what is meant for the upstream. */
  rawHeaders?: readonly string[],
) => Promise<Caller>;

export const API_VERSION = '2026-08-05';

export interface CallerStepDeps {
  readonly hosts: Hosts;
  readonly authenticator: Authenticator;
  readonly limits: RequestLimits;
}

export function createCallerStep(deps: CallerStepDeps): AuthenticateCaller {
  return async (request, access, rawHeaders = request.raw.rawHeaders) => {
    const { raw } = request;
    checkVersion(raw.headers['knoxcall-version']);
    const host = deps.hosts.resolve(raw.rawHeaders, raw.httpVersion);
    const principal = await deps.authenticator.authenticate(rawHeaders, host, access?.servesInactive);
    const caller: Caller = { principal, requestId: request.id as RequestId, ip: remoteAddress(request) };
    // Set before the checks that follow, so that the log line of a refusal names the key.
    request.caller = caller;
    if (access === null) return caller;
    const limited: Caller = { ...caller, rateLimit: await deps.limits.admit(principal) };
    request.caller = limited;
    const { permission } = access;
    if (permission !== null && !principal.may(permission)) throw permissionMissing(permission);
    return limited;
  };
}

function checkVersion(version: string | string[] | undefined): void {
  if (version !== undefined && version !== API_VERSION)
    throw new AppError('invalid_api_version', `KnoxCall-Version must be ${API_VERSION}`);
}

/** The peer of the connection. A dual-stack listener shows IPv4 peers as `::ffff:…`. */
function remoteAddress(request: FastifyRequest): string | null {
  const address = request.raw.socket.remoteAddress;
  if (address === undefined) return null;
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
