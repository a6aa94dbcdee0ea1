import type { IncomingMessage } from 'node:http';
import type { RouteEntry } from '../../capabilities/proxy/index.js';
import { isReservedSlug } from '../../capabilities/routes/index.js';
import type { Hosts, ResolvedHost } from '../../platform/http/hosts.js';

const ROUTE_HEADER = 'x-knoxcall-route';
const PROXY = '/proxy';
const API = '/api';

/**
 * Which route a request calls, and with which path (dataplane §5.2): by header, whatever host and path; by `/proxy/{route}`;
 * by the first segment on the host of a tenant. Null: it is no call of a route.
 */
export function routeEntry(request: IncomingMessage, hosts: Hosts): RouteEntry | null {
  const path = request.url ?? '/';
  const named = request.headers[ROUTE_HEADER];
  if (named !== undefined) {
    const reference = textOf(String(named));
    return { reference, path: isTenantHost(request, hosts) ? withoutApi(path) : whole(path) };
  }
  if (isBelow(path, PROXY)) return segmentEntry(path, PROXY.length);
  // Most requests of the other planes are told apart here, before their host is looked at.
  if (isReservedSlug(firstSegment(path)) || !isTenantHost(request, hosts)) return null;
  return firstSegment(path) === '' ? null : segmentEntry(path, 0);
}

function isTenantHost({ rawHeaders, httpVersion }: IncomingMessage, hosts: Hosts): boolean {
  return hostOf(rawHeaders, httpVersion, hosts)?.kind === 'tenant';
}

/** What is wrong with a host is told where it is resolved for the caller. */
function hostOf(rawHeaders: readonly string[], httpVersion: string, hosts: Hosts): ResolvedHost | null {
  try {
    return hosts.resolve(rawHeaders, httpVersion);
  } catch {
    return null;
  }
}

/** `/{route}/rest` from there on. */
function segmentEntry(path: string, from: number): RouteEntry {
  const end = endOfSegment(path, from + 1);
  return { reference: decoded(path.slice(from + 1, end)), path: whole(path.slice(end)) };
}

function firstSegment(path: string): string {
  return path.slice(1, endOfSegment(path, 1));
}

function endOfSegment(path: string, from: number): number {
  for (let at = from; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === 0x2f || code === 0x3f || code === 0x23) return at;
  }
  return path.length;
}

/** Exactly once, so that `/api/api/v2` is `/api/v2`. */
function withoutApi(path: string): string {
  return isBelow(path, API) ? whole(path.slice(API.length)) : whole(path);
}

function isBelow(path: string, segment: string): boolean {
  return path.startsWith(segment) && endOfSegment(path, segment.length) === segment.length;
}

/** Never empty, and without what a client should not have sent. */
function whole(path: string): string {
  const hash = path.indexOf('#');
  const sent = hash === -1 ? path : path.slice(0, hash);
  return sent.startsWith('/') ? sent : `/${sent}`;
}

function decoded(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Node reads header bytes as Latin-1; names are UTF-8. */
function textOf(header: string): string {
  return /[\x80-\xff]/.test(header) ? Buffer.from(header, 'latin1').toString('utf8') : header;
}
