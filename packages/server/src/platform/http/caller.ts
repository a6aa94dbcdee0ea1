import type { FastifyRequest } from 'fastify';
import { AppError, permissionMissing } from '../../kernel/errors.js';
import type { RequestId } from '../../kernel/ids.js';
import type {
  Caller,
  Capability,
  CapabilityAction,
  CapabilityCaller,
  Principal,
  SessionCaller,
  Visitor,
} from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { RateLimitStatus } from '../../kernel/rate-limit.js';
import { splitAuthorization } from './authorization.js';
import type { Hosts, ResolvedHost } from './hosts.js';

/** What a proof of possession must have been made for (RFC 9449 §4.3). */
export interface CalledTarget {
  readonly method: string;
  /** As it was called, the query with it. */
  readonly path: string;
}

/**
 * Implemented by the authentication capability, for keys and for users: credential present, valid, of the host's mode,
 * tenant active.
 */
export interface Authenticator {
  authenticate(
    rawHeaders: readonly string[],
    host: ResolvedHost,
    servesInactive?: boolean,
    target?: CalledTarget,
  ): Promisable<Principal>;
  /** Who has signed in, whatever the tenant: of users alone. */
  authenticateSession?(
    rawHeaders: readonly string[],
    host: ResolvedHost,
  ): Promise<Omit<SessionCaller, keyof Visitor>>;
}

/** Implemented by the plans capability: the general limits of dataplane.md §9. */
export interface RequestLimits {
  /** Throws 429 where a limit refuses; null where none holds for this caller. */
  admit(principal: Principal): Promisable<RateLimitStatus | null>;
}

/** A call by who holds a token that is good for one act. */
export interface CapabilityCall {
  readonly token: string | null;
  readonly action: CapabilityAction;
  /** That of the page that calls. */
  readonly origin: string | null;
  readonly ip: string | null;
  readonly host: ResolvedHost;
}

/** `origin`: whose pages may read the answer, whichever it is; null = none, where the endpoint is not for all. */
export type Admission = { readonly origin: string | null } & (
  | { readonly principal: Principal; readonly capability: Capability; readonly refusal?: undefined }
  | { readonly refusal: AppError }
);

/** Implemented by the capability that makes such tokens. Nothing is used up. */
export interface CapabilityHolders {
  admit(call: CapabilityCall): Promise<Admission>;
}

/** What an endpoint asks of its caller. */
export interface AccessRule {
  readonly permission: string | null;
  /** Also reachable for a tenant that is paused or cancelled. */
  readonly servesInactive?: boolean;
}

/**
 * The head of the order of checks (auth.md §5), shared by both mounts and the proxy. With `null` it ends at the
 * credential: limits and permission are then the proxy's own steps.
 */
export type AuthenticateCaller = (
  request: FastifyRequest,
  access: AccessRule | null,
  /** Those that may hold our credential; the proxy leaves out what is meant for the upstream. */
  rawHeaders?: readonly string[],
) => Promisable<Caller>;

/** Whom a mount lets in, by a route's access. */
export interface CallerSteps {
  readonly tenant: AuthenticateCaller;
  /** `/admin` only. */
  readonly session?: (request: FastifyRequest) => Promise<SessionCaller>;
  readonly public: (request: FastifyRequest) => Visitor;
  /** What is checked of a request whoever sends it: version and host. */
  readonly host: (request: FastifyRequest) => ResolvedHost;
  /** `/v1` only. Tells first whose pages may read the answer, so that they can read a refusal too. */
  readonly capability?: (
    request: FastifyRequest,
    action: CapabilityAction,
    allow: (origin: string) => void,
  ) => Promise<CapabilityCaller>;
}

export const API_VERSION = '2026-08-05';

export interface CallerStepsDeps {
  readonly hosts: Hosts;
  readonly authenticator: Authenticator;
  readonly limits: RequestLimits;
  readonly capabilityHolders?: CapabilityHolders;
}

export function createCallerSteps({
  hosts,
  authenticator,
  limits,
  capabilityHolders,
}: CallerStepsDeps): CallerSteps {
  /** What is checked of a request whoever sends it. */
  function hostOf({ raw }: FastifyRequest): ResolvedHost {
    checkVersion(raw.headers['knoxcall-version']);
    return hosts.resolve(raw.rawHeaders, raw.httpVersion);
  }

  function callerOf(
    request: FastifyRequest,
    access: AccessRule | null,
    principal: Principal,
  ): Promisable<Caller> {
    const { requestId, ip } = visitorOf(request);
    const caller: Caller = { principal, requestId, ip };
    // Set before the checks that follow, so that the log line of a refusal names the key.
    request.caller = caller;
    return access === null ? caller : admitted(request, access, caller);
  }

  /** A valid credential that is of no use here is in the log line, and in the proxy's log row (dataplane §1.7). */
  function refuse(request: FastifyRequest, error: unknown): never {
    if (error instanceof AppError && error.principal)
      request.caller = { principal: error.principal, ...visitorOf(request) };
    throw error;
  }

  async function admitted(request: FastifyRequest, access: AccessRule, caller: Caller): Promise<Caller> {
    const { principal, requestId, ip } = caller;
    // Written out: of one that is spread around an await every property is added the slow way.
    const rateLimit = await limits.admit(principal);
    const limited: Caller = { principal, requestId, ip, rateLimit };
    request.caller = limited;
    const { permission } = access;
    if (permission !== null && !principal.may(permission)) throw permissionMissing(permission);
    return limited;
  }

  return {
    tenant(request, access, rawHeaders = request.raw.rawHeaders) {
      const host = hostOf(request);
      let found: Promisable<Principal>;
      try {
        const target = { method: request.method, path: request.raw.url ?? '' };
        found = authenticator.authenticate(rawHeaders, host, access?.servesInactive, target);
      } catch (error) {
        return refuse(request, error);
      }
      return isPending(found)
        ? found.then(
            (principal) => callerOf(request, access, principal),
            (error) => refuse(request, error),
          )
        : callerOf(request, access, found);
    },
    ...(authenticator.authenticateSession && {
      async session(request: FastifyRequest) {
        const session = await authenticator.authenticateSession!(request.raw.rawHeaders, hostOf(request));
        return { ...session, ...visitorOf(request) };
      },
    }),
    host: hostOf,
    public(request) {
      hostOf(request);
      return visitorOf(request);
    },
    ...(capabilityHolders && {
      async capability(request: FastifyRequest, action: CapabilityAction, allow: (origin: string) => void) {
        const host = hostOf(request);
        const visitor = visitorOf(request);
        const origin = request.raw.headers.origin ?? null;
        const token = bearerOf(request.raw.headers.authorization);
        const admission = await capabilityHolders.admit({ token, action, origin, ip: visitor.ip, host });
        if (admission.origin !== null) allow(admission.origin);
        if (admission.refusal) return refuse(request, admission.refusal);
        const { principal, capability } = admission;
        const caller = { principal, ...visitor };
        request.caller = caller;
        return { ...(await admitted(request, NO_PERMISSION, caller)), capability, origin };
      },
    }),
  };
}

/** That of the act is asked by who admits its token. */
const NO_PERMISSION: AccessRule = { permission: null };

function bearerOf(authorization: string | undefined): string | null {
  const { scheme, credential } = splitAuthorization(authorization ?? '');
  return scheme === 'bearer' && credential !== '' ? credential : null;
}

export function visitorOf(request: FastifyRequest): Visitor {
  return { requestId: request.id as RequestId, ip: request.source.address || null };
}

function checkVersion(version: string | string[] | undefined): void {
  if (version !== undefined && version !== API_VERSION)
    throw new AppError('invalid_api_version', `KnoxCall-Version must be ${API_VERSION}`);
}
