import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decisionOfUser } from '../../capabilities/permissions/index.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { systemIds } from '../../platform/crypto/random.js';
import { type MountedRoute, mountedRoutes } from '../../platform/http/mounts.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { newInvitation } from '../../testing/account-samples.js';
import type { TestAnswer, TestCall } from '../../testing/calls.js';
import { storedRows } from '../../testing/databases.js';
import { METRICS_TOKEN, openInstallation } from '../../testing/installation.js';
import { malformedCalls } from '../../testing/malformed-bodies.js';
import { type MatrixRig, MOUNTS, nameOf, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import { type Body, freshName, unknownPath } from '../../testing/route-sample.js';
import { KINDS, ROUTE_SAMPLES } from '../../testing/route-samples.js';
import { samplesAmiss } from '../../testing/samples-amiss.js';
import { createMember, OWNER_PASSWORD, type TestKey } from '../../testing/tenants.js';

/** Every endpoint of the server, at each of its mounts, and each way in which a call of it is refused. */
let rig: MatrixRig;
let mounted: MountedRoute[];
beforeAll(async () => {
  rig = await openMatrixRig();
  mounted = mountedRoutes(rig.routes);
});
afterAll(() => rig.close());

const PROXY = '/v1/proxy';
/** By a token of its own: gateway.test.ts. */
const GATEWAY = '/wg/*';

/** What has no definition, and asks for no credential or one of its own. */
const OPEN: Readonly<Record<string, string>> = {
  'GET /healthz': 'tells an orchestrator that the process runs (kms-admin.md §8)',
  'GET /readyz': 'tells an orchestrator that it can be called (kms-admin.md §8)',
  'GET /metrics': 'guarded by KNOX_METRICS_TOKEN, or by the peer (contract README §8)',
  'GET /openapi.json': 'describes the API, and nobody who uses it',
  'GET /.well-known/oauth-authorization-server': 'tells clients what there is (RFC 8414)',
  'GET /docs': 'the page of that description',
  'GET /docs/page.js': 'of that page',
  'GET /docs/page.css': 'of that page',
  'GET /docs/swagger-ui.css': 'of that page',
  'GET /docs/swagger-ui-bundle.js': 'of that page',
};

/** What authenticates clients instead of callers, by its own order of checks: oauth-token.test.ts and its neighbours. */
const OAUTH: readonly string[] = [
  'POST /oauth/token',
  'POST /oauth/introspect',
  'POST /oauth/revoke',
  'POST /oauth/device_authorization',
  'POST /v1/oauth/token',
];

/** Pages for users, who sign in at them (auth.md §2.4, §2.5): oauth-pages.test.ts, oauth-devices.test.ts. */
const PAGES: readonly string[] = [
  'GET /oauth/authorize',
  'POST /oauth/authorize',
  'GET /oauth/activate',
  'GET /auth/invitation',
  'POST /auth/invitation',
  'GET /auth/magic-link',
  'POST /auth/magic-link',
  'POST /oauth/activate',
  // For who has the mailed link: signup/pages.test.ts.
  'GET /auth/signup',
  'POST /auth/signup',
  // For who comes back from a provider with a state: secrets/oauth2/routes.test.ts.
  'GET /auth/oauth2/callback/:id',
  'POST /auth/oauth2/callback/:id',
];

/** For whoever verifies certificates (clients-pki.md §3.4, §3.6): client-ca/routes.test.ts. */
const PKI: readonly string[] = [
  'GET /pki/:tenantId/:rootId/:list',
  'POST /pki/:tenantId/:rootId/:keyId/ocsp',
  'GET /pki/:tenantId/:rootId/:keyId/ocsp/*',
];

/** For senders that sign: hooks-api.test.ts. */
const HOOKS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].map((method) => `${method} /hooks/:tenant/:name`);

/** For clients that sign what they ask, of whom RFC 8555 says what is refused: capabilities/acme. */
const ACME: readonly string[] = [
  'GET directory',
  'GET new-nonce',
  'POST new-account',
  'POST account/:id',
  'POST account/:id/orders',
  'POST new-order',
  'POST order/:id',
  'POST order/:id/finalize',
  'POST certificate/:id',
  'POST authorization/:id',
  'POST challenge/:id',
  'POST revoke-cert',
  'POST key-change',
].map((call) => call.replace(' ', ' /pki/:tenantId/:rootId/:roleId/acme/'));

/** Who asks for no permission, and why. */
const UNPERMITTED: Readonly<Record<string, string>> = {
  'GET /v1/account': 'any valid credential (contract README §2.1)',
  'POST /v1/client-tokens': 'that of the act which the token is for (contract README §2.1)',
  'PATCH /admin/tenants/:id': 'its own Owner or Admin and the operator, judged by the row (auth.md §7)',
};

const namesRow = ({ path }: RouteDefinition) => path.includes('/:');

/** The routes that are registered and in no part of this file, then what is named here and not registered. */
function uncovered(registered: readonly string[], routes: readonly MountedRoute[]): string[] {
  const covered = new Set([
    ...routes.map(({ definition, path }) => `${definition.method} ${path}`),
    // What browsers ask first: client-tokens/routes.test.ts.
    ...routes.filter(({ definition }) => definition.capability).map(({ path }) => `OPTIONS ${path}`),
    ...Object.keys(OPEN),
    ...OAUTH,
    ...PAGES,
    ...PKI,
    ...HOOKS,
    ...ACME,
  ]);
  const isCovered = (name: string) =>
    // The framework answers HEAD by the handler of GET.
    covered.has(name.replace(/^HEAD /, 'GET ')) || name.endsWith(` ${PROXY}`) || name.endsWith(` ${GATEWAY}`);
  return [
    ...registered.filter((name) => !isCovered(name)),
    ...[...covered].filter((name) => !registered.includes(name)).map((name) => `${name}: not registered`),
  ];
}

const typeOf = ({ json }: TestAnswer) => json['error']?.['type'];
const shown = (answer: TestAnswer) => [answer.status, typeOf(answer)];
const withoutNames = (path: string) => path.replaceAll(':', 'x');

describe('the matrix', () => {
  it('covers every route that the server has registered, and no other', () => {
    expect(uncovered(rig.registered, mounted)).toEqual([]);
    expect(rig.registered.length).toBeGreaterThan(80);
  });

  it('reports a route that is registered beside it, and one that is not registered', async () => {
    const more = await openInstallation({
      extend: (app) => app.get('/v1/forgotten', async () => 'open to all'),
    });
    const [first, ...rest] = mounted;
    expect(uncovered(more.registered, mounted)).toEqual(['GET /v1/forgotten', 'HEAD /v1/forgotten']);
    expect(uncovered(rig.registered, rest)).toEqual([`${first!.definition.method} ${first!.path}`]);
    const gone = rig.registered.filter((name) => name !== 'GET /v1/vaults');
    expect(uncovered(gone, mounted)).toEqual(['GET /v1/vaults: not registered']);
    await more.close();
  });

  it('has a sample of every row and of every member of every body', async () => {
    expect(await samplesAmiss(rig.routes, ROUTE_SAMPLES, rig.world('admin', rig.tenant, 'live'))).toEqual([]);
  });

  it('reports a route without a sample, a member that no sample has, and a sample of no route', async () => {
    const definition = {
      summary: 'Forgotten',
      permission: null,
      audit: null,
      response: z.object({}),
      handle: async () => ({}),
    };
    const body = z.object({ name: z.string(), note: z.string().optional() });
    const further = [
      route({ ...definition, method: 'PATCH', path: '/v1/things/:id', body }),
      route({ ...definition, method: 'POST', path: '/v1/things', body }),
    ];
    const samples = {
      'POST /v1/things': { bodies: () => [{ name: 'n' }] },
      'GET /v1/nothing/:id': { path: async () => '/v1/nothing/1' },
    };
    expect(await samplesAmiss(further, samples, rig.world('v1', rig.tenant, 'live'))).toEqual([
      'PATCH /v1/things/:id: no path',
      'PATCH /v1/things/:id: no bodies',
      'POST /v1/things: no body has note',
      'GET /v1/nothing/:id: there is none',
    ]);
  });
});

describe('what has no definition', () => {
  it('is open where that is said, and the metrics by their own token', async () => {
    for (const name of Object.keys(OPEN)) {
      const [method = '', path = ''] = name.split(' ');
      const answer = await rig.ask(method, path, { payload: '{"a":' });
      if (path !== '/metrics') expect([name, answer.status]).toEqual([name, 200]);
      else expect([name, ...shown(answer)]).toEqual([name, 401, 'authentication_required']);
    }
    const { live } = rig.tenant;
    expect(shown(await rig.ask('GET', '/metrics', { key: live }))).toEqual([401, 'invalid_token']);
    expect((await rig.ask('GET', '/metrics', { token: METRICS_TOKEN })).status).toBe(200);
  });

  it('is the proxy, which refuses by its own order of checks', async () => {
    const token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    const { live, test } = rig.tenant;
    const key = await keyWithoutGrants();
    const target = { headers: { 'x-knox-proxy-url': 'https://api.example.com/' } };
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const refused = async (call: TestCall, status: number, type: string) => {
        const answer = await rig.ask(method, PROXY, { ...target, ...call });
        // An answer to HEAD has no body to tell the type.
        const expected = method === 'HEAD' ? undefined : type;
        expect([method, ...shown(answer)]).toEqual([method, status, expected]);
      };
      await refused({}, 401, 'authentication_required');
      await refused({ token }, 401, 'invalid_token');
      await refused({ key: live, host: 'sandbox.localhost' }, 403, 'wrong_key_type');
      await refused({ key: test, host: 'api.localhost' }, 403, 'wrong_key_type');
      await refused({ key }, 403, 'forbidden');
      await refused({ key: live, headers: {} }, 400, 'missing_proxy_url');
    }
  });
});

describe('the authorization server', () => {
  it('is 401 to who names no client, and to an API key or a token in place of one', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    for (const name of OAUTH) {
      const [method = '', path = ''] = name.split(' ');
      const withKey = { ...form, authorization: `Bearer ${rig.tenant.live.apiKey}` };
      for (const headers of [form, withKey]) {
        const payload = 'grant_type=client_credentials&token=x';
        const answer = await rig.ask(method, path, { headers, payload });
        expect([name, answer.status, answer.json]).toEqual([
          name,
          401,
          { error: 'invalid_client', error_description: expect.any(String) },
        ]);
      }
    }
  });
});

async function keyWithoutGrants(): Promise<string> {
  const body = { name: 'no grants', role_ids: [] };
  const { json } = await rig.ask('POST', '/v1/api-keys', { key: rig.tenant.live, body });
  return json['data']['api_key'];
}

describe('every route', () => {
  it('is 401 without a credential, and with one of the other mount', async () => {
    const token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    for (const { mount, path, definition } of mounted) {
      if (definition.access === 'public') continue;
      const methods = definition.method === 'GET' ? ['GET', 'HEAD'] : [definition.method];
      for (const method of methods) {
        const ask = async (call: TestCall) => {
          const answer = await rig.ask(method, withoutNames(path), call);
          return [method, path, answer.status, method === 'HEAD' ? '' : typeOf(answer)];
        };
        const refused = (type: string) => [method, path, 401, method === 'HEAD' ? '' : type];
        expect(await ask({})).toEqual(refused('authentication_required'));
        const foreign = mount === 'v1' ? { token } : { key: rig.tenant.live };
        expect(await ask(foreign)).toEqual(refused('invalid_token'));
      }
    }
  });

  it('of a key is 403 on a host of the other mode', async () => {
    const { live, test, slug } = rig.tenant;
    const accessKey = await rig
      .world('admin', rig.tenant, 'live')
      .create('/admin/api-keys', { name: 'ake', key_type: 'access_key', scopes: ['vaults:read'] });
    const wrong: [TestKey | string, string][] = [
      [live, 'sandbox.localhost'],
      [live, `sandbox-${slug}.localhost`],
      [accessKey['api_key']!, 'sandbox.localhost'],
      [test, 'api.localhost'],
      [test, `${slug}.localhost`],
    ];
    for (const { mount, path, definition } of mounted) {
      // Tokens for one act have hosts too: client-tokens/routes.test.ts.
      if (mount !== 'v1' || definition.access === 'public' || definition.capability) continue;
      for (const [key, host] of wrong) {
        const answer = await rig.ask(definition.method, withoutNames(path), { key, host });
        expect([path, host, ...shown(answer)]).toEqual([path, host, 403, 'wrong_key_type']);
      }
    }
  });

  it('of a user in a tenant is 403 in live mode on the sandbox host, and 400 in a mode that is none', async () => {
    const token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    for (const { mount, path, definition } of mounted) {
      const { method, access = 'tenant' } = definition;
      if (mount !== 'admin' || access !== 'tenant') continue;
      const ask = (mode: string, host: string) =>
        rig.ask(method, withoutNames(path), { token, host, headers: { 'x-knoxcall-mode': mode } });
      for (const host of ['sandbox.localhost', `sandbox-${rig.tenant.slug}.localhost`])
        expect([path, ...shown(await ask('live', host))]).toEqual([path, 403, 'wrong_key_type']);
      const none = await ask('sandbox', 'api.localhost');
      expect([path, none.status, none.json['fields']]).toEqual([
        path,
        400,
        { 'X-KnoxCall-Mode': ['must be live or test'] },
      ]);
      // A user is of no mode: on a host that is not the sandbox's the header decides.
      for (const host of ['api.localhost', `${rig.tenant.slug}.localhost`, '127.0.0.1'])
        expect(typeOf(await ask('test', host))).not.toBe('wrong_key_type');
    }
  });

  it('asks for a permission, or says here why not', () => {
    const without = rig.routes.filter(
      ({ access = 'tenant', permission }) => access === 'tenant' && permission === null,
    );
    expect(without.map(nameOf).sort()).toEqual(Object.keys(UNPERMITTED).sort());
  });

  it('is 403 to a key without its permission, which the answer names', async () => {
    const key = await keyWithoutGrants();
    for (const { mount, path, definition } of mounted) {
      if (mount === 'v1' && definition.permission !== null) await expectForbidden(definition, path, { key });
    }
  });

  it('is 403 to a user whose role lacks its permission', async () => {
    const lacking: string[] = [];
    for (const role of USER_ROLES) {
      const { may } = decisionOfUser(role);
      const refusing = mounted.filter(
        ({ mount, definition: { permission } }) =>
          mount === 'admin' && permission !== null && !may(permission),
      );
      if (refusing.length === 0) continue;
      lacking.push(role);
      const email = await createMember({ ...rig, ids: systemIds }, rig.tenant, role);
      const token = await rig.signIn(email, OWNER_PASSWORD);
      for (const { definition, path } of refusing) await expectForbidden(definition, path, { token });
    }
    expect(lacking).toEqual(['developer', 'viewer']);
  });

  it('is 401 to a user without the step-up that it asks for, before it reads the body', async () => {
    const token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    for (const { definition, path } of mounted) {
      if (!definition.stepUp) continue;
      for (const stepUp of [undefined, 'x', 'x'.repeat(9_000)]) {
        const call = { token, payload: '{"a":', ...(stepUp && { stepUp }) };
        const answer = await rig.ask(definition.method, withoutNames(path), call);
        const { type, max_age_seconds: maxAge } = answer.json['error'];
        const seconds = definition.stepUp.maxAgeSeconds;
        expect([path, answer.status, type, maxAge]).toEqual([path, 401, 'step_up_required', seconds]);
      }
    }
  });

  async function expectForbidden({ method, permission }: RouteDefinition, path: string, call: TestCall) {
    const answer = await rig.ask(method, withoutNames(path), call);
    expect([method, path, ...shown(answer)]).toEqual([method, path, 403, 'forbidden']);
    expect(answer.json['error']['message']).toContain(permission);
  }
});

describe.each(MOUNTS)('every route under /%s', (mount) => {
  let own: World;
  let others: World;
  beforeAll(() => {
    own = rig.world(mount, rig.tenant, 'live');
    others = rig.world(mount, rig.other, 'live');
  });

  const here = () => mounted.filter((route) => route.mount === mount);
  const sampleOf = (definition: RouteDefinition) => ROUTE_SAMPLES[nameOf(definition)] ?? {};
  const worldOf = (definition: RouteDefinition) =>
    sampleOf(definition).ofNewUser ? own.withNewUser() : Promise.resolve(own);
  const bodiesOf = async (definition: RouteDefinition, world = own) => {
    await sampleOf(definition).prepare?.(world);
    return (await sampleOf(definition).bodies?.(world)) ?? [];
  };
  const pathOf = async (definition: RouteDefinition, world = own, body?: Body) =>
    (await sampleOf(definition).pathFor?.(world, body ?? {})) ??
    (await sampleOf(definition).path?.(world)) ??
    definition.path;

  /** What asks for no credential gets none: a sign-out would end the session of the token. */
  const asker = ({ access = 'tenant' }: RouteDefinition, world: World) =>
    access === 'public' || access === 'capability' ? rig.ask : world.call;
  const headersOf = async (definition: RouteDefinition, world: World, body: Body) =>
    (await sampleOf(definition).headers?.(world, body)) ?? {};

  const send = async (definition: RouteDefinition, world: World, call: TestCall) => {
    const path = await pathOf(definition, world, call.body as Body | undefined);
    const headers = await headersOf(definition, world, (call.body ?? {}) as Body);
    return asker(definition, world)(definition.method, path, { ...call, headers });
  };

  it('takes its samples', async () => {
    for (const { definition } of here()) {
      const { method } = definition;
      const { refused } = sampleOf(definition);
      const status = refused ?? definition.status ?? 200;
      const world = await worldOf(definition);
      const bodies = await bodiesOf(definition, world);
      const answers = [];
      for (const body of bodies.length === 0 ? [undefined] : bodies)
        answers.push(await send(definition, world, { body }));
      for (const body of sampleOf(definition).operatorBodies ?? [])
        answers.push(await rig.call(method, await pathOf(definition), { body }));
      for (const answer of answers)
        expect([nameOf(definition), answer.status, typeOf(answer)]).toEqual([
          nameOf(definition),
          status,
          refused && 'validation_error',
        ]);
    }
  });

  it('answers another tenant as if the row did not exist', async () => {
    for (const { definition } of here().filter(({ definition }) => namesRow(definition))) {
      const [body] = await bodiesOf(definition);
      const foreign = await others.call(definition.method, await pathOf(definition), { body });
      const unknown = await others.call(definition.method, unknownPath(definition.path), {
        body,
      });
      expect([nameOf(definition), ...shown(unknown)]).toEqual([nameOf(definition), 404, 'not_found']);
      expect([nameOf(definition), foreign.status, errorOf(foreign)]).toEqual([
        nameOf(definition),
        404,
        errorOf(unknown),
      ]);
    }
  });

  it('lists nothing of another tenant, even beside a row of its name', async () => {
    /** Where the row is of a parent, the list of the other tenant's own. */
    const lists = new Map<string, string>();
    for (const [collection, { make }] of Object.entries(KINDS)) {
      if (mount === 'v1' && collection.startsWith('/admin/')) continue;
      const name = freshName();
      const [row, theirs] = [await make(own, name), await make(others, name)];
      expect(await own.idsIn(row.list)).toContain(row.id);
      expect(await others.idsIn(theirs.list)).toContain(theirs.id);
      lists.set(row.list, theirs.list);
    }
    if (mount === 'admin') for (const world of [own, others]) await newInvitation(world);
    for (const { definition } of here()) {
      const { answer = 'single', path } = definition;
      // The roles are the product's own, the same for all.
      if (answer !== 'single' && !namesRow(definition) && path !== '/v1/roles') lists.set(path, path);
    }
    for (const [path, theirPath] of lists) {
      const [listed, theirs] = [await own.idsIn(path), await others.idsIn(theirPath)];
      expect([path, listed.length > 0, theirs.length > 0]).toEqual([path, true, true]);
      expect([path, ...listed.filter((id) => theirs.includes(id))]).toEqual([path]);
    }
  });

  function errorOf({ json }: TestAnswer) {
    return { ...json['error'], request_id: undefined };
  }

  it('refuses a malformed body, names what is wrong with it and writes nothing', async () => {
    const amiss = [];
    let refusals = 0;
    for (const { definition } of here()) {
      if (definition.method === 'GET') continue;
      const world = await worldOf(definition);
      const path = await pathOf(definition, world);
      const { operatorBodies = [] } = sampleOf(definition);
      const bodies = await bodiesOf(definition, world);
      const calls = malformedCalls(definition, [...bodies, ...operatorBodies]);
      const headers = await headersOf(definition, world, bodies[0] ?? {});
      const ask = asker(definition, world);
      const before = storedRows(rig.db.storage);
      for (const { what, call, refused } of calls) {
        const answer = await ask(definition.method, path, {
          ...call,
          headers: { ...headers, ...call.headers },
        });
        const { fields = {} } = answer.json;
        const [status, type, field] = refused;
        const isNamed = field === undefined ? answer.json['fields'] === undefined : field in fields;
        if (answer.status !== status || typeOf(answer) !== type || !isNamed)
          amiss.push([nameOf(definition), what, ...shown(answer), fields]);
        refusals += 1;
      }
      const changed = [...storedRows(rig.db.storage)].filter(([table, rows]) => before.get(table) !== rows);
      amiss.push(...changed.map(([table]) => [nameOf(definition), `changed ${table}`]));
    }
    expect(amiss).toEqual([]);
    expect(refusals).toBeGreaterThan(200);
  });

  it('takes no notice of a body where it only reads', async () => {
    for (const { definition } of here().filter(({ definition }) => definition.method === 'GET')) {
      const path = await pathOf(definition);
      for (const method of ['GET', 'HEAD']) {
        const statuses = [];
        for (const payload of ['{"unknown_member":1}', '[]', '{"a":'])
          statuses.push((await own.call(method, path, { payload })).status);
        expect([method, path, ...statuses]).toEqual([method, path, 200, 200, 200]);
        const answer = await own.call(method, path, {
          payload: 'x',
          headers: { 'content-type': 'text/plain' },
        });
        expect([method, path, answer.status]).toEqual([method, path, 415]);
      }
    }
  });
});
