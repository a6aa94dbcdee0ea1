import type { FastifyRequest } from 'fastify';
import { AppError, permissionMissing } from '../../kernel/errors.js';
import type { RequestId } from '../../kernel/ids.js';
import type { Caller, Principal } from '../../kernel/principal.js';
import type { Hosts, ResolvedHost } from './hosts.js';

/** Implemented by the authentication capability: credential present, valid, of the host's mode, tenant active. */
export interface Authenticator {
  authenticate(rawHeaders: readonly string[], host: ResolvedHost): Promise<Principal>;
}

/** The head of the order of checks (auth.md §5), shared by the management API and the proxy. */
export type AuthenticateCaller = (
  request: FastifyRequest,
  permission: string | null,
  /** Those that may hold our credential; the proxy leaves out what is meant for the upstream. */
  rawHeaders?: readonly string[],
) => Promise<Caller>;

export const API_VERSION = '2026-08-05';

export function createCallerStep(deps: { hosts: Hosts; authenticator: Authenticator }): AuthenticateCaller {
  return async (request, permission, rawHeaders = request.raw.rawHeaders) => {
    const { raw } = request;
    checkVersion(raw.headers['knoxcall-version']);
    const host = deps.hosts.resolve(raw.rawHeaders, raw.httpVersion);
    const principal = await deps.authenticator.authenticate(rawHeaders, host);
    const caller: Caller = { principal, requestId: request.id as RequestId, ip: remoteAddress(request) };
    // Set before the permission check, so that the log line of a refusal names the key.
    request.caller = caller;
    if (permission !== null && !principal.may(permission)) throw permissionMissing(permission);
    return caller;
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
