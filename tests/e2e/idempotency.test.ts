import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { managementRoutes } from '../../packages/server/src/app/management-routes.js';
import type { Services } from '../../packages/server/src/app/services.js';
import { mountedRoutes } from '../../packages/server/src/platform/http/mounts.js';
import { createTestCa } from '../../packages/server/src/testing/tls-upstream.js';
import { type E2eDatabase, forEachDatabase } from './scene.js';
import {
  type Bootstrap,
  type Environment,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

const { caPem: CERTIFICATE } = await createTestCa();
const PRELOAD = new URL('./kill-at-answer.mjs', import.meta.url).href;
/** `npm run soak` sets it: then each call dies by itself, in the moment when its own answer would go out. */
const CALLS_A_KILL = Number(process.env['KNOX_IDEMPOTENCY_CALLS_A_KILL'] ?? Number.POSITIVE_INFINITY);

interface Creation {
  body(name: string): unknown;
  readonly audit: string;
  /** Where what was made is listed; default the path itself. */
  readonly list?: string;
  /** The list is whole, and takes no page. */
  readonly isUnpaged?: true;
  /** No list shows it: its audit rows are counted alone. */
  readonly isUnlisted?: true;
  /** Of the answer's data; default its `id`. */
  idOf?(data: Record<string, unknown>): unknown;
  /** Of a row of the list; default its `id`. */
  rowIdOf?(row: Record<string, unknown>): unknown;
}

/** Every endpoint that adds a row to a collection, by the path of its definition. */
const CREATIONS: Record<string, Creation> = {
  '/v1/api-keys': { body: (name) => ({ name }), audit: 'api_key.create' },
  '/admin/api-keys': {
    body: (name) => ({ name, key_type: 'access_key', scopes: ['roles:read'] }),
    audit: 'api_key.create',
  },
  '/v1/vaults': { body: (name) => ({ name }), audit: 'vault.create' },
  '/v1/vaults/:nameOrId/tokens': { body: (name) => ({ value: name }), audit: 'vault.tokenize' },
  '/v1/vaults/:nameOrId/tokens/bulk': {
    body: (name) => ({ values: [{ value: name }] }),
    audit: 'vault.tokenize',
    list: '/v1/vaults/:nameOrId/tokens',
    idOf: ({ tokens }) => (tokens as { id: string }[])[0]?.id,
  },
  '/v1/crypto/keys': { body: (name) => ({ name }), audit: 'crypto.create', isUnpaged: true },
  '/v1/oauth-clients': { body: (name) => ({ name }), audit: 'oauth_client.create', isUnpaged: true },
  '/v1/environments': { body: (name) => ({ name }), audit: 'environment.create', isUnpaged: true },
  '/v1/secrets': { body: (name) => ({ name, value: 'canary' }), audit: 'secret.create' },
  '/v1/secrets/oauth2': {
    // Names are of all types of secrets together.
    body: (name) => ({
      name: `${name}-login`,
      provider: 'github',
      client_id: 'client',
      client_secret: 'canary',
    }),
    audit: 'secret.create',
    list: '/v1/secrets',
  },
  '/v1/secrets/certificate': {
    body: (name) => ({ name: `${name}-certificate`, certificate_content: CERTIFICATE }),
    audit: 'secret.create',
    list: '/v1/secrets',
  },
  '/v1/wrap/credentials': {
    body: (name) => ({
      provider: 'openai',
      name: `${name}-lent`,
      value: 'canary',
      hosts: ['api.example.com'],
    }),
    audit: 'wrap.credential.create',
    list: '/v1/secrets',
    idOf: ({ secret_id: id }) => id as string,
  },
  '/v1/wrap/tokens': {
    body: (name) => ({ secret: 'GATEWAY', label: name }),
    audit: 'wrap.token.create',
    isUnpaged: true,
  },
  '/v1/clients': { body: (name) => ({ name }), audit: 'client.create' },
  '/v1/clients/:id/credentials': {
    // Each mount has a network of its own, since both ask for the same client.
    body: (name) => ({ kind: 'ip', data: { value: name === 'v1-made' ? '10.0.0.1' : '10.0.0.2' } }),
    audit: 'client_credential.create',
    isUnpaged: true,
  },
  '/v1/pki/roots': {
    body: (name) => ({ name }),
    audit: 'pki.root.create',
    isUnpaged: true,
    idOf: ({ root }) => (root as { id: string }).id,
  },
  '/v1/pki/roots/:name/roles': {
    body: (name) => ({ role_name: name }),
    audit: 'pki.role.create',
    isUnpaged: true,
  },
  '/v1/pki/roots/:name/roles/:role/acme-keys': {
    body: (name) => ({ label: name }),
    audit: 'pki.role.update',
    isUnpaged: true,
    idOf: ({ kid }) => kid,
    rowIdOf: ({ kid }) => kid,
  },
  '/v1/client-tokens': {
    body: () => ({ action: 'tokenize', vault: 'cards', origins: ['https://shop.example'] }),
    audit: 'crypto.client_token.create',
    isUnlisted: true,
  },
  '/v1/redaction-rules': {
    body: (name) => ({ name, match: { type: 'builtin', value: 'pan' } }),
    audit: 'redaction_rule.create',
  },
  '/v1/oidc-bindings': {
    body: (name) => ({
      name,
      issuer: 'https://token.actions.githubusercontent.com',
      subject: 'repo:acme/shop:*',
      scopes: ['vaults:read'],
    }),
    audit: 'oidc_binding.create',
  },
  '/v1/routes': {
    body: (name) => ({ name, target_base_url: 'https://api.example.com/' }),
    audit: 'route.create',
  },
  '/v1/routes/:id/actions': {
    body: (name) => ({ direction: 'request', action: 'decrypt', selectors: ['$.a'], data_role: name }),
    audit: 'route.action.create',
    isUnpaged: true,
  },
  '/v1/egress/servers': {
    body: (name) => ({ name, kind: 'socks5', address: 'proxy.example.com', port: 1080 }),
    audit: 'egress_server.create',
  },
  '/v1/webhooks': {
    body: (name) => ({ name, url: 'https://hooks.example.com/', event_types: ['audit.event'] }),
    audit: 'webhook.create',
  },
  '/v1/inbound-webhooks': {
    body: (name) => ({
      name,
      format: 'stripe',
      secret: 'whsec_of-some-sender',
      target_url: 'https://orders.example.com/',
    }),
    audit: 'webhook.create',
  },
  '/admin/alerts': {
    body: (name) => ({
      name,
      type: 'rate_limit_exceeded',
      condition: {},
      channels: [{ type: 'email', to: 'ops@example.com' }],
    }),
    audit: 'alert.create',
  },
  '/admin/invitations': {
    body: (name) => ({ email: `${name}@example.com`, role: 'viewer' }),
    audit: 'team.invite',
  },
};

// The definitions ask nothing of the services before a call comes.
const definitions = managementRoutes(new Proxy({}, { get: () => ({}) }) as Services);
// A record belongs to a credential of a tenant, so who makes a tenant has none.
const creating = definitions.filter(({ status, access = 'tenant' }) => status === 201 && access === 'tenant');
/** For API keys and for signed-in users. */
const places = mountedRoutes(creating).map(({ path, mount, definition }) => ({
  path,
  creation: CREATIONS[definition.path],
  name: `${mount}-made`,
}));

type Place = (typeof places)[number];
/** Those of one are begun at once and die together. */
const rounds: Place[][] = [];
for (const place of places) {
  const last = rounds.at(-1);
  if (last && last.length < CALLS_A_KILL) last.push(place);
  else rounds.push([place]);
}
/** As asked for by the place's own mount. */
const listOf = ({ path, creation }: Place) =>
  creation!.list?.replace('/v1/', path.startsWith('/v1/') ? '/v1/' : '/admin/') ?? path;
/** The same for both mounts. */
const rowsName = (place: Place) => listOf(place).replace(/^\/(v1|admin)\//, '');
const auditedBy = ({ creation }: Place) => `/v1/audit-logs?action=${creation!.audit}`;

interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { readonly data: Record<string, unknown>; readonly meta?: Record<string, unknown> };
}

/** Some lists have a name of their own (contract README §5). */
function rowsOf(data: unknown): Record<string, unknown>[] {
  return (Array.isArray(data) ? data : Object.values(data as object)[0]) as Record<string, unknown>[];
}

afterAll(killAll);

it('knows every creating endpoint', () => {
  expect(Object.keys(CREATIONS).sort()).toEqual(creating.map(({ path }) => path).sort());
});

forEachDatabase((open) => {
  describe('a server killed between the commit and the answer', () => {
    const dataDir = makeDataDir();
    let database: E2eDatabase;
    let environment: Environment;
    let server: ServerProcess;
    let bootstrap: Bootstrap;
    let adminToken: string;
    let clientId = '';
    let routeId = '';

    async function call(method: string, path: string, headers: Record<string, string> = {}, body?: unknown) {
      const named = path
        .replace(':nameOrId', 'cards')
        .replace('/clients/:id', `/clients/${clientId}`)
        .replace('/routes/:id', `/routes/${routeId}`)
        .replace('/roots/:name', '/roots/corp')
        .replace('/roles/:role', '/roles/web');
      const response = await fetch(`${server.url}${named}`, {
        method,
        headers: {
          authorization: `Bearer ${path.startsWith('/v1/') ? bootstrap.live_api_key : adminToken}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const json = (await response.json()) as object;
      // Some families answer bare under `/admin`.
      const whole = 'data' in json ? json : { data: json };
      return { status: response.status, headers: response.headers, body: whole } as ApiAnswer;
    }
    /** Some lists are whole (contract README §5). */
    const total = async (path: string) => {
      const { data, meta } = (await call('GET', path)).body;
      return (meta?.['total'] ?? rowsOf(data).length) as number;
    };

    beforeAll(async () => {
      database = await open();
      environment = {
        ...database.environment,
        KNOX_DATA_DIR: dataDir.path,
        // Nobody answers there: the issuer of a binding is looked up, and need not be found.
        KNOX_DNS_SERVERS: '127.0.0.1:1',
        NODE_OPTIONS: `--import=${PRELOAD}`,
      };
      server = await startServer(environment);
      bootstrap = readBootstrap(dataDir.path);
      const response = await fetch(`${server.url}/admin/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...bootstrap.admin, cookie: false }),
      });
      adminToken = ((await response.json()) as { token: string }).token;
      expect((await call('POST', '/v1/vaults', {}, { name: 'cards' })).status).toBe(201);
      const client = await call('POST', '/v1/clients', {}, { name: 'office' });
      clientId = client.body.data['id'] as string;
      const target = { target_base_url: 'https://api.example.com/' };
      const named = await call('POST', '/v1/routes', {}, { name: 'orders', ...target });
      routeId = named.body.data['id'] as string;
      const bound = { name: 'GATEWAY', value: 'canary', allowed_hosts: ['api.example.com'] };
      expect((await call('POST', '/v1/secrets', {}, bound)).status).toBe(201);
      expect((await call('POST', '/v1/pki/roots', {}, { name: 'corp' })).status).toBe(201);
      expect((await call('POST', '/v1/pki/roots/corp/roles', {}, { role_name: 'web' })).status).toBe(201);
    });
    afterAll(async () => {
      await stopServer(server);
      await database.remove();
      dataDir.remove();
    });

    const bodyOf = ({ creation, name }: Place) => creation!.body(name);
    const keyOf = ({ path }: Place) => ({ 'x-idempotency-key': `crash ${path}`.replace(/\W/g, '-') });
    const rowsOfPlace = async (place: Place) =>
      total(place.creation!.isUnlisted ? auditedBy(place) : listOf(place));

    describe.each(rounds.map((round) => ({ round, calls: round.length })))(
      'with $calls calls due',
      ({ round, calls }) => {
        const before = new Map<Place, { rows: number; audited: number }>();
        const alike = (is: (one: Place) => string, place: Place) =>
          round.filter((other) => is(other) === is(place)).length;

        beforeAll(async () => {
          for (const place of round)
            before.set(place, { rows: await rowsOfPlace(place), audited: await total(auditedBy(place)) });
          const kill = { 'x-test-kill-at-answer': String(calls) };
          const begun = round.map((place) =>
            call('POST', place.path, { ...keyOf(place), ...kill }, bodyOf(place)),
          );
          // An answer is a refusal, and comes at once: the others wait for it in vain.
          const answers = begun.map((answer, at) =>
            answer.then(
              ({ status, body }) => expect.fail(`${round[at]!.path}: ${status} ${JSON.stringify(body)}`),
              () => {},
            ),
          );
          await Promise.all(answers);
          expect(await server.exited).toMatchObject({ signal: 'SIGKILL' });
          server = await startServer(environment);
        });

        it.each(round)('POST $path: one row, same answer', async (place) => {
          const { path, creation } = place;
          const { idOf = ({ id }) => id, rowIdOf = ({ id }) => id } = creation!;
          const [key, body] = [keyOf(place), bodyOf(place)];
          const { rows: rowsBefore, audited: auditedBefore } = before.get(place)!;
          const retried = await call('POST', path, key, body);
          expect([retried.status, retried.headers.get('x-idempotent-replay')]).toEqual([201, 'true']);
          const again = await call('POST', path, key, body);
          expect(again.body).toEqual(retried.body);
          const audit = ({ creation }: Place) => creation!.audit;
          expect(await rowsOfPlace(place)).toBe(
            rowsBefore + alike(creation!.isUnlisted ? audit : rowsName, place),
          );
          expect(await total(auditedBy(place))).toBe(auditedBefore + alike(audit, place));
          if (creation!.isUnlisted) return;
          const list = listOf(place);
          const listed = (await call('GET', creation!.isUnpaged ? list : `${list}?per_page=100`)).body.data;
          expect(rowsOf(listed).map(rowIdOf)).toContain(idOf(retried.body.data));
        });
      },
    );
  });
});
