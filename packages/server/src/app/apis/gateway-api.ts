import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type EphemeralProxy, KEY_HEADERS } from '../../capabilities/proxy/index.js';
import type { AdmittedCall, Wrap } from '../../capabilities/wrap/index.js';
import { assert } from '../../kernel/assert.js';
import { isAppError, notFound, validationError } from '../../kernel/errors.js';
import type { RequestId } from '../../kernel/ids.js';
import { isPercentEncoded } from '../../kernel/percent-encoding.js';
import type { Caller } from '../../kernel/principal.js';
import { visitorOf } from '../../platform/http/caller.js';
import type { Hosts } from '../../platform/http/hosts.js';
import type { ProxyApi, ProxyApiDeps } from './proxy-api.js';
import { createCallsUnderWay } from './under-way.js';

export interface GatewayApiDeps extends Pick<ProxyApiDeps, 'refuse'> {
  readonly proxy: Pick<EphemeralProxy, 'serveGateway'>;
  readonly wrap: Pick<Wrap, 'admit'>;
  readonly hosts: Hosts;
}

const PREFIX = '/wg/';
/** Whatever follows is a token or an upstream's. */
const KNOWN_AS = '/wg';
/** As it was sent: what is encoded is no token of ours, and where it leads nobody decodes it. */
const PLACE = /^\/wg\/([^/?#]*)(?:\/([^/?#]*)([^?#]*))?/;

/** What a request asks of the gateway, and by which token. */
interface Entry {
  readonly token: string | null;
  readonly place: { readonly host: string } | { readonly dnsLabel: string };
  readonly path: string;
}

/**
 * `/wg/<token>/<host>/…` of the API's hosts and of a plain address, and every path of `<label>.wrap.<domain>`
 * (dataplane.md §3.1; docs/decisions/0097). Registered before all other routes: the host decides before the path does.
 */
export function registerGatewayApi(app: FastifyInstance, deps: GatewayApiDeps): ProxyApi {
  const { proxy, wrap, hosts } = deps;
  const underWay = createCallsUnderWay();

  function serve(request: FastifyRequest, reply: FastifyReply, entry: Entry): void {
    reply.hijack();
    request.knownAs = KNOWN_AS;
    let admitted: AdmittedCall | null = null;
    const authenticate = async (): Promise<Caller> => {
      const { raw } = request;
      try {
        const at = 'dnsLabel' in entry.place ? ANY_HOST : hosts.resolve(raw.rawHeaders, raw.httpVersion);
        if (at.kind === 'tenant') throw notFound();
        admitted = await wrap.admit({
          token: entry.token,
          place: entry.place,
          at,
          ip: visitorOf(request).ip,
        });
      } catch (error) {
        if (isAppError(error) && error.principal)
          request.caller = { principal: error.principal, ...visitorOf(request) };
        throw error;
      }
      request.caller = { principal: admitted.principal, ...visitorOf(request) };
      return request.caller;
    };
    const call = proxy.serveGateway(
      {
        request: request.raw,
        response: reply.raw,
        requestId: request.id as RequestId,
        trace: request.trace,
        authenticate,
        refusedCaller: () => request.caller,
        refuse: (cause, rateLimit, block) => deps.refuse(request, reply.raw, cause, rateLimit, block),
      },
      () => {
        assert(admitted, 'a gateway call went on without its token');
        const { host, secretId, header } = admitted;
        if (!isPercentEncoded(entry.path))
          throw validationError('path', 'must be valid percent-encoded UTF-8');
        return {
          url: `https://${host}${entry.path}`,
          credential: {
            reference: { by: 'id', text: secretId },
            header: header.name,
            prefix: header.prefix,
          },
        };
      },
    );
    underWay.add(call);
  }

  /** Every path of a name of a token's own; throws what is wrong with the host. */
  function takeAtLabel(request: FastifyRequest, reply: FastifyReply): boolean {
    const { raw } = request;
    const label = hosts.wrapLabel(raw.rawHeaders, raw.httpVersion);
    if (label === null) return false;
    serve(request, reply, { token: keyIn(raw), place: { dnsLabel: label }, path: pathOf(raw) });
    return true;
  }

  function takeBelow(request: FastifyRequest, reply: FastifyReply): boolean {
    request.knownAs = KNOWN_AS;
    const match = PLACE.exec(request.raw.url ?? '');
    if (!match) return false;
    const [, token = '', host = '', path = ''] = match;
    serve(request, reply, { token, place: { host }, path: path === '' ? '/' : path });
    return true;
  }

  app.route({
    method: app.supportedMethods,
    url: `${PREFIX}*`,
    config: { hasLongBody: true },
    onRequest: (request, reply, done) => {
      if (!takeBelow(request, reply)) done(notFound());
    },
    // Never reached; a route must have one.
    handler: () => undefined,
  });
  app.takers.push(
    (request, reply, isRouted) =>
      takeAtLabel(request, reply) ||
      (!isRouted && !!request.raw.url?.startsWith(PREFIX) && takeBelow(request, reply)),
  );
  return {
    settled: underWay.settled,
  };
}

/** A name of a token's own is of no mode: the token says it. */
const ANY_HOST = { kind: 'plain', mode: null, tenantSlug: null } as const;

/** Whose body is not to be invited before the call has been judged. */
export function isGatewayCall(hosts: Hosts): (request: IncomingMessage) => boolean {
  return ({ url = '', rawHeaders, httpVersion }) => {
    if (url.startsWith(PREFIX)) return true;
    try {
      return hosts.wrapLabel(rawHeaders, httpVersion) !== null;
    } catch {
      return false;
    }
  };
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** Where a client library puts its key; a name is told to every resolver and stands in the clear in TLS, so it is none. */
function keyIn({ headers }: IncomingMessage): string | null {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, scheme = '', text = ''] = /^([A-Za-z]+) +(\S+)$/.exec(authorization.trim()) ?? [];
    if (scheme.toLowerCase() === 'bearer' || scheme.toLowerCase() === 'token') return text;
    if (scheme.toLowerCase() === 'basic') return partOfBasic(text);
  }
  for (const name of KEY_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string' && value.startsWith('wkt_')) return value;
  }
  return null;
}

/** Some send the key as the user, some as the password. */
function partOfBasic(text: string): string | null {
  const parts = Buffer.from(text, 'base64').toString().split(':');
  return parts.find((part) => part.startsWith('wkt_')) ?? null;
}
