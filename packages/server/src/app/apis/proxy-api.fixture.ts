import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Transform, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Pool } from 'undici';
import type { ApiLogEntry } from '../../capabilities/api-logs/index.js';
import { createProxy } from '../../capabilities/proxy/index.js';
import type { TokenReference } from '../../capabilities/vaults/index.js';
import { AppError } from '../../kernel/errors.js';
import type { ApiKeyId, RequestId, TenantId } from '../../kernel/ids.js';
import type { Caller, Principal } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { startCallClock } from '../../platform/egress/call-clock.js';
import type { Egress } from '../../platform/egress/egress.js';
import { writeErrorRaw } from '../../platform/http/error-handler.js';
import { createHttpServer } from '../../platform/http/server.js';
import { createLogger } from '../../platform/log/logger.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import { registerProxyApi } from './proxy-api.js';

export const DEPLOYMENT_ID = '0a1b2c3d';
export const REQUEST_ID = '11111111-2222-4333-8444-555555555555';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface CallOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly key?: string | null;
}

/** What an upstream saw of one request. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface ProxyFixture {
  readonly port: number;
  readonly clock: ManualClock;
  readonly rows: ApiLogEntry[];
  readonly seen: Seen[];
  readonly detokenized: TokenReference[];
  upstream: RequestListener | null;
  plan: { hasBodyRules: boolean; body: Transform | null; headError?: AppError };
  logHasRoom: boolean;
  /** Hosts that the egress double refuses, with what it throws. */
  readonly refusedHosts: Map<string, AppError>;
  call(options?: CallOptions): Promise<Answer>;
  open(options?: CallOptions): ReturnType<typeof httpRequest>;
  raw(text: string): Promise<Socket>;
  close(): Promise<void>;
}

const PERMISSIONS: Record<string, readonly string[]> = {
  tk_live_full: ['proxy:invoke', 'vaults:detokenize'],
  tk_live_other: ['proxy:invoke', 'vaults:detokenize'],
  tk_live_invoke: ['proxy:invoke'],
  tk_live_none: [],
};

function principalOf(key: string): Principal {
  const permissions = PERMISSIONS[key];
  if (permissions === undefined) throw new AppError('invalid_api_key', 'The API key is not valid');
  return {
    kind: 'api_key',
    scope: { tenantId: (key === 'tk_live_other' ? 'other' : 'acme') as TenantId, sandbox: false },
    tenantSlug: 'acme',
    apiKeyId: key as ApiKeyId,
    keyId: key,
    userId: null,
    may: (permission) => permissions.includes(permission),
  };
}

/** Tokens by tenant; every one stands in the vault `cards`, but for those of `closed`. */
export const VALUES: Record<string, Record<string, string>> = {
  acme: { tok_pan: '4111111111111111', tok_odd: 'a"b\\c\n&=é', tok_template: '{{ token: cards.tok_pan }}' },
  other: { tok_foreign: 'foreign' },
};

function tokenSource(detokenized: TokenReference[]) {
  return {
    vaultNames: async () => new Set(['cards', 'closed']),
    async detokenizeForProxy(caller: Caller, references: readonly TokenReference[]) {
      if (!caller.principal.may('vaults:detokenize')) {
        throw new AppError('forbidden', 'This credential lacks the permission vaults:detokenize');
      }
      if (references.some((one) => one.vault === 'closed'))
        throw new AppError('vault_disabled', 'Vault is disabled');
      const values = VALUES[caller.principal.scope.tenantId] ?? {};
      return references.map((reference) => {
        const value = values[reference.token];
        if (value === undefined) throw new AppError('token_not_found', 'Token not found');
        detokenized.push(reference);
        return new Secret(value);
      });
    },
  };
}

/** The guard's seams without its judgement: every name leads to one plain upstream on loopback. */
function egressDouble(upstreamPort: number, clock: ManualClock, refusedHosts: Map<string, AppError>): Egress {
  const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 50 });
  return {
    parse(rawUrl) {
      const url = URL.canParse(rawUrl) ? new URL(rawUrl) : null;
      if (url?.protocol !== 'https:')
        throw new AppError('invalid_proxy_url', 'X-Knox-Proxy-URL must be https');
      return url;
    },
    async judge(url) {
      const refusal = refusedHosts.get(url.hostname);
      if (refusal) throw refusal;
      return { url, hostname: url.hostname, port: 443, policyKey: 'p', addresses: ['127.0.0.1'] };
    },
    startClock: (timeoutMs, clientGone) => startCallClock(clock, timeoutMs, clientGone),
    async stream(target, call, onHead) {
      let sink: Writable | null = null;
      try {
        await pool.stream(
          {
            method: call.method as 'GET',
            path: call.path,
            headers: ['host', target.hostname, ...call.headers],
            body: call.body,
            signal: call.clock.signal,
            responseHeaders: 'raw',
          },
          ({ statusCode, headers }) => {
            sink = onHead({ status: statusCode, rawHeaders: headers as unknown as string[] });
            return sink;
          },
        );
        if (sink !== null) await finished(sink, { readable: false });
      } catch (error) {
        const reason = call.clock.signal.aborted ? call.clock.signal.reason : error;
        (sink as Writable | null)?.destroy(reason);
        throw reason instanceof AppError
          ? reason
          : new AppError('upstream_unreachable', 'The upstream cannot be reached');
      }
    },
    setOwnEndpoints: () => {},
    close: () => pool.close(),
  };
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function startProxyFixture(): Promise<ProxyFixture> {
  const clock = createManualClock();
  const rows: ApiLogEntry[] = [];
  const seen: Seen[] = [];
  const detokenized: TokenReference[] = [];
  const refusedHosts = new Map<string, AppError>();

  const upstream = createServer(async (request, response) => {
    if (fixture.upstream) {
      fixture.upstream(request, response);
      return;
    }
    const { method = '', url = '', headers, rawHeaders } = request;
    seen.push({ method, url, headers, rawHeaders, body: await collect(request) });
    response.setHeader('content-type', 'application/json').end('{"ok":true}');
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');

  const app = createHttpServer({
    logger: createLogger('error', { write: () => {} }).logger,
    ids: { uuid: () => REQUEST_ID },
    clock,
  });
  const egress = egressDouble((upstream.address() as AddressInfo).port, clock, refusedHosts);
  const proxy = createProxy({
    clock,
    egress,
    vaults: tokenSource(detokenized),
    redaction: {
      planFor: async () => ({
        hasBodyRules: fixture.plan.hasBodyRules,
        logText: (text) => text.replaceAll('canary', '[REDACTED]'),
        head(_status, rawHeaders) {
          if (fixture.plan.headError) throw fixture.plan.headError;
          return { rawHeaders: [...rawHeaders], body: fixture.plan.body };
        },
      }),
    },
    apiLogs: {
      assertRoom() {
        if (!fixture.logHasRoom)
          throw new AppError('dependency_unavailable', 'full', { dependency: 'request_log' });
      },
      append: (row) => rows.push(row),
    },
    deploymentId: DEPLOYMENT_ID,
  });
  registerProxyApi(app, {
    proxy,
    async authenticate(request, rawHeaders) {
      const given = new Set<string>();
      rawHeaders.forEach((value, i) => {
        if (i % 2 === 1 && /^(authorization|x-api-key)$/i.test(rawHeaders[i - 1]!))
          given.add(value.replace(/^Bearer /, ''));
      });
      if (given.size > 1)
        throw new AppError('validation_error', 'The request carries two different credentials');
      const [key] = given;
      if (key === undefined) throw new AppError('authentication_required', 'No credential');
      return { principal: principalOf(key), requestId: request.id as RequestId, ip: '127.0.0.1' };
    },
    refuse: writeErrorRaw,
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;

  const open = (options: CallOptions = {}) =>
    httpRequest({
      port,
      host: '127.0.0.1',
      agent: false,
      method: options.method ?? 'POST',
      path: options.path ?? '/v1/proxy',
      headers: {
        ...(options.key === null ? {} : { authorization: `Bearer ${options.key ?? 'tk_live_full'}` }),
        'x-knox-proxy-url': 'https://api.example.com/charge',
        ...options.headers,
      },
    });

  const fixture: ProxyFixture = {
    port,
    clock,
    rows,
    seen,
    detokenized,
    upstream: null,
    plan: { hasBodyRules: false, body: null },
    logHasRoom: true,
    refusedHosts,
    open,
    async call(options = {}) {
      const request = open(options);
      request.end(options.body);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const { statusCode = 0, headers, rawHeaders } = response;
      return { status: statusCode, headers, rawHeaders, body: await collect(response) };
    },
    async raw(text) {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(text);
      return socket;
    },
    async close() {
      upstream.closeAllConnections();
      upstream.close();
      app.server.closeAllConnections();
      await app.close();
      await egress.close();
    },
  };
  return fixture;
}
