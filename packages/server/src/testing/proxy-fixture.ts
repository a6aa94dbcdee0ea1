import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Transform } from 'node:stream';
import { registerProxyApi } from '../app/apis/proxy-api.js';
import { countedCalls, measuredEgress, serverMetrics } from '../app/telemetry.js';
import type { ApiLogEntry } from '../capabilities/api-logs/index.js';
import type { PortableCipher } from '../capabilities/crypto-keys/index.js';
import type { EgressChain } from '../capabilities/egress-servers/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import { createProxy } from '../capabilities/proxy/index.js';
import { type HeadOptions, redactHead } from '../capabilities/redaction/engine/plan.js';
import type { SecretReference, SecretUse } from '../capabilities/secrets/index.js';
import type { TokenReference } from '../capabilities/vaults/index.js';
import { AppError, permissionMissing } from '../kernel/errors.js';
import type { ApiKeyId, RequestId, TenantId } from '../kernel/ids.js';
import type { Caller, Principal } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import { createHostList } from '../platform/egress/name-policy.js';
import { writeErrorRaw } from '../platform/http/error-handler.js';
import { createHttpServer } from '../platform/http/server.js';
import { createLogger } from '../platform/log/logger.js';
import { createInstruments, type Instruments } from '../platform/telemetry/instruments.js';
import type { Tracing } from '../platform/telemetry/tracing.js';
import { startEgressRig } from './egress-rig.js';
import type { ManualClock } from './manual-clock.js';
import { ruleSet } from './redaction-rules.js';
import { createTestCa, startTlsUpstream } from './tls-upstream.js';

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
  readonly upstreamPort: number;
  readonly rows: ApiLogEntry[];
  readonly seen: Seen[];
  readonly detokenized: TokenReference[];
  upstream: RequestListener | null;
  plan: { hasBodyRules: boolean; body: Transform[]; headError?: AppError };
  logHasRoom: boolean;
  /** Empty = every public host. */
  allowedHosts: readonly string[];
  /** Null = directly. */
  via: EgressChain | null;
  plans: Pick<Plans, 'admit' | 'admitOperation'>;
  call(options?: CallOptions): Promise<Answer>;
  open(options?: CallOptions): ReturnType<typeof httpRequest>;
  raw(text: string): Promise<Socket>;
  /** The first row. It is written when the answer is complete, which the client may see a turn earlier. */
  row(): Promise<ApiLogEntry>;
  /** As at the start, but for `plans`. */
  reset(): void;
  /** Resolves when the server is done with every call. */
  close(): Promise<void>;
}

const PERMISSIONS: Record<string, readonly string[]> = {
  tk_live_full: ['proxy:invoke', 'vaults:detokenize', 'crypto:decrypt'],
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
    rateLimit: null,
    grants: [],
    may: (permission) => permissions.includes(permission),
  };
}

/** Tokens by tenant; every one stands in the vault `cards`, but for those of `closed`. `tok_loud` has no echo guard. */
export const VALUES: Record<string, Record<string, string>> = {
  acme: {
    tok_pan: '4111111111111111',
    tok_odd: 'a"b\\c\n&=é',
    tok_template: '{{ token: cards.tok_pan }}',
    tok_loud: 'spoken aloud',
  },
  other: { tok_foreign: 'foreign' },
};

function tokenSource(detokenized: TokenReference[]) {
  function check(caller: Caller, references: readonly TokenReference[]) {
    if (!caller.principal.may('vaults:detokenize')) {
      throw new AppError('forbidden', 'This credential lacks the permission vaults:detokenize');
    }
    if (references.some((one) => one.vault === 'closed'))
      throw new AppError('vault_disabled', 'Vault is disabled');
    const values = VALUES[caller.principal.scope.tenantId] ?? {};
    return references.map(({ token }) => {
      const value = values[token];
      if (value === undefined) throw new AppError('token_not_found', 'Token not found');
      return { value: new Secret(value), isEchoGuarded: token !== 'tok_loud' };
    });
  }
  return {
    vaultNames: async () => new Set(['cards', 'closed']),
    async detokenizeForProxy(caller: Caller, references: readonly TokenReference[]) {
      const values = check(caller, references);
      detokenized.push(...references);
      return values;
    },
    async checkForProxy(caller: Caller, references: readonly TokenReference[]) {
      return check(caller, references);
    },
  };
}

/** Bound to `api.example.com`, all but `UNBOUND`. */
export const SECRETS: Record<string, string> = {
  API_KEY: 'key "of" the upstream',
  TEMPLATE: '{{ token: cards.tok_pan }}',
  UNBOUND: 'goes nowhere',
};

const secretSource = {
  async check(_scope: unknown, { text }: SecretReference, { host, via }: SecretUse) {
    if (SECRETS[text] === undefined) throw new AppError('secret_not_found', 'No such secret');
    if (via === 'ephemeral' && (text === 'UNBOUND' || host !== 'api.example.com'))
      throw new AppError('egress_blocked', 'The secret is not bound to that host');
    return { secretId: text, name: text, isExpired: false };
  },
  async resolve(scope: unknown, reference: SecretReference, use: SecretUse) {
    const known = await secretSource.check(scope, reference, use);
    return { ...known, value: new Secret(SECRETS[reference.text]!) };
  },
};

/** Seals by a mark, and opens what `PORTABLES` names. */
const portableSource: PortableCipher = {
  sealForProxy: async (_caller, texts) => texts.map((text) => new Secret(`sealed<${text}>`)),
  async openForProxy(caller, portables) {
    if (!caller.principal.may('crypto:decrypt')) throw permissionMissing('crypto:decrypt');
    return portables.map(({ datatype }) => new Secret(PORTABLES[datatype] ?? 'null'));
  },
  async checkForProxy(caller) {
    if (!caller.principal.may('crypto:decrypt')) throw permissionMissing('crypto:decrypt');
  },
};

/** What a ciphertext holds, by its datatype. */
export const PORTABLES: Record<string, string> = {
  s: '"opened {{ token: cards.tok_pan }}"',
  j: '{"a":[1e400]}',
};

/** One of the form that the proxy tells from other text; what it holds is in `PORTABLES`. */
export const KC_TEXT = [
  'kc:1:j',
  Buffer.from('aaaaaaaa-0000-4000-8000-000000000001:bbbbbbbb-0000-4000-8000-000000000001:1').toString(
    'base64url',
  ),
  'A'.repeat(87),
  'B'.repeat(16),
  'C'.repeat(32),
  '$',
].join(':');

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const NO_RULES: Omit<HeadOptions, 'guard'> = {
  onRedacted() {},
  newSearch: () => {
    throw new Error('there are no regex rules');
  },
};

/** Nothing is limited; a suite on limits replaces them. */
const UNLIMITED: ProxyFixture['plans'] = {
  admit: () => null,
  admitOperation: async () => ({ count() {} }),
};

export interface ProxyFixtureOptions {
  readonly instruments?: Instruments;
  readonly tracing?: Tracing;
}

export async function startProxyFixture(options: ProxyFixtureOptions = {}): Promise<ProxyFixture> {
  const { instruments = createInstruments(), tracing = null } = options;
  const rows: ApiLogEntry[] = [];
  const seen: Seen[] = [];
  const detokenized: TokenReference[] = [];

  const handler: RequestListener = async (request, response) => {
    if (fixture.upstream) {
      fixture.upstream(request, response);
      return;
    }
    const { method = '', url = '', headers, rawHeaders } = request;
    seen.push({ method, url, headers, rawHeaders, body: await collect(request) });
    response.setHeader('content-type', 'application/json').end('{"ok":true}');
  };
  const ca = await createTestCa();
  const upstream = await startTlsUpstream({ ca, names: ['api.example.com'], handler });
  const { egress, clock, ...rig } = await startEgressRig({
    allowPrivateUpstreams: '127.0.0.0/8',
    extraCaPem: ca.caPem,
    records: {
      'api.example.com': ['127.0.0.1'],
      'other-name.example.com': ['127.0.0.1'],
      'internal.example.com': ['10.1.2.3'],
    },
  });
  /** In tests this origin stands for the upstream, wherever it listens. */
  const withPort = (text: string) =>
    text.replaceAll('https://api.example.com/', `https://api.example.com:${upstream.port}/`);

  const app = createHttpServer({
    logger: createLogger('error', { write: () => {} }),
    requestLog: () => {},
    ids: { uuid: () => REQUEST_ID },
    clock,
    metrics: serverMetrics(instruments),
    tracing,
  });
  const proxy = createProxy({
    clock,
    egress: measuredEgress(egress, instruments, clock),
    egressServers: { forCall: () => fixture.via },
    egressAllowlist: { hostsFor: async () => createHostList(fixture.allowedHosts) },
    vaults: tokenSource(detokenized),
    secrets: secretSource,
    portable: portableSource,
    redaction: {
      planFor: async () => ({
        hasBodyRules: fixture.plan.hasBodyRules,
        logText: (text) => text.replaceAll('canary', '[REDACTED]'),
        head(status, rawHeaders, method = 'GET', guard = null) {
          const { headError, body } = fixture.plan;
          if (headError) throw headError;
          if (body.length > 0) return { rawHeaders: [...rawHeaders], body, echo: null };
          return redactHead(ruleSet(), { method, status, rawHeaders }, { ...NO_RULES, guard });
        },
        ofRoute() {
          throw new Error('no route is called here');
        },
      }),
    },
    plans: {
      admit: (principal) => fixture.plans.admit(principal),
      admitOperation: (scope) => fixture.plans.admitOperation(scope),
    },
    apiLogs: countedCalls(
      {
        assertRoom() {
          if (!fixture.logHasRoom)
            throw new AppError('dependency_unavailable', 'full', { dependency: 'request_log' });
        },
        append(row) {
          rows.push(row);
        },
        appendAlone: () => {},
        queuedRows: () => 0,
      },
      instruments,
    ),
    callEvents: { interestIn: () => null, received: () => null, completed: () => null },
    deploymentId: DEPLOYMENT_ID,
    certificateHeader: null,
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
      request.caller = { principal: principalOf(key), requestId: request.id as RequestId, ip: '127.0.0.1' };
      return request.caller;
    },
    refuse: writeErrorRaw,
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;

  const proxyUrls = (given: string | string[]) =>
    Array.isArray(given) ? given.map(withPort) : withPort(given);
  const open = (options: CallOptions = {}) =>
    httpRequest({
      port,
      host: '127.0.0.1',
      agent: false,
      method: options.method ?? 'POST',
      path: options.path ?? '/v1/proxy',
      headers: {
        ...(options.key === null ? {} : { authorization: `Bearer ${options.key ?? 'tk_live_full'}` }),
        ...options.headers,
        'x-knox-proxy-url': proxyUrls(
          options.headers?.['x-knox-proxy-url'] ?? 'https://api.example.com/charge',
        ),
      },
    });

  const atStart = () => ({
    upstream: null,
    plan: { hasBodyRules: false, body: [] },
    logHasRoom: true,
    allowedHosts: [],
    via: null,
  });
  let closing: Promise<void> | null = null;
  async function close(): Promise<void> {
    app.server.closeAllConnections();
    await app.close();
    await rig.close();
    await upstream.close();
  }

  const fixture: ProxyFixture = {
    port,
    clock,
    upstreamPort: upstream.port,
    rows,
    seen,
    detokenized,
    ...atStart(),
    plans: UNLIMITED,
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
      socket.write(withPort(text));
      return socket;
    },
    async row() {
      while (rows.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return rows[0]!;
    },
    reset() {
      Object.assign(fixture, atStart());
      for (const list of [rows, seen, detokenized]) list.length = 0;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
  return fixture;
}
