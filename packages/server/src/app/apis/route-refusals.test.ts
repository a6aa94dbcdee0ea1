import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callRoute, errorType, type RouteAnswer, type RouteCall } from '../../testing/route-calls.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const JSON_TYPE = { 'content-type': 'application/json' };

let server: WholeServer;
let slug: string;
let made = 0;

beforeAll(async () => {
  server = await startWholeServer({ environment: { KNOX_BASE_DOMAIN: 'knox.example' } });
  slug = (await server.api('GET', '/v1/account')).json.data.slug;
  for (const name of ['off', 'nowhere']) await server.api('POST', '/v1/environments', { name });
});
afterAll(() => server.close());

async function api(method: string, path: string, body: object) {
  const { status, json } = await server.api(method, path, body);
  if (status >= 300) throw new Error(JSON.stringify(json));
  return json.data;
}

interface Cause {
  readonly type: string;
  readonly status: number;
  /** How the call shows it. */
  readonly call?: RouteCall;
  readonly route?: string;
  /** What the route has to say. */
  readonly settings?: object;
  readonly isUsedUp?: boolean;
}

/** In the order of dataplane §5.3. */
const CAUSES: readonly Cause[] = [
  { type: 'tenant_not_found', status: 404, call: { host: 'nobody.knox.example' } },
  { type: 'invalid_api_key', status: 401, call: { key: `tk_live_${'a'.repeat(12)}_${'b'.repeat(40)}` } },
  { type: 'route_not_found', status: 404, route: 'no-such-route' },
  {
    type: 'environment_not_configured',
    status: 404,
    call: { headers: { 'x-knoxcall-environment': 'nowhere' } },
  },
  { type: 'environment_disabled', status: 404, call: { headers: { 'x-knoxcall-environment': 'off' } } },
  { type: 'client_not_authorized', status: 403, settings: { requires_clients: true } },
  { type: 'ip_not_allowed', status: 403, settings: { ip_allowlist: ['192.0.2.1'] } },
  {
    type: 'method_not_allowed',
    status: 405,
    settings: { http_method_restrictions_enabled: true, allowed_methods: ['GET', 'PUT'] },
  },
  { type: 'signature_missing', status: 403, settings: { require_signature: true } },
  {
    type: 'rate_limit_exceeded',
    status: 429,
    isUsedUp: true,
    settings: { rate_limit_enabled: true, rate_limit_requests: 1, rate_limit_window_sec: 86_400 },
  },
  { type: 'secret_not_found', status: 400, call: { body: '{"a":"{{secret:NO_SUCH}}"}' } },
];

async function routeWith(causes: readonly Cause[]): Promise<string> {
  const name = `order-${++made}`;
  const route = await api('POST', '/v1/routes', { name, slug: name, target_base_url: server.target });
  // Used up in the environment that is called, before anything else refuses.
  const limits = causes.filter(({ isUsedUp }) => isUsedUp);
  for (const { settings } of limits) {
    await api('PATCH', `/v1/routes/${route.id}`, settings!);
    const isOff = causes.some(({ type }) => type === 'environment_disabled');
    if (!isOff) expect((await callRoute(server, `/proxy/${name}`)).status).toBe(200);
  }
  await api('PUT', `/v1/routes/${route.id}/environments/off`, { enabled: false });
  const settings = Object.assign({}, ...causes.map((one) => one.settings ?? {}));
  if (Object.keys(settings).length > 0) await api('PATCH', `/v1/routes/${route.id}`, settings);
  return name;
}

async function refused(...causes: Cause[]): Promise<RouteAnswer> {
  const name = await routeWith(causes);
  const reference = causes.find(({ route }) => route !== undefined)?.route ?? name;
  const how = Object.assign({}, ...causes.map(({ call }) => call ?? {})) as RouteCall;
  const headers = Object.assign({}, ...causes.map(({ call }) => call?.headers ?? {}));
  return callRoute(server, `/proxy/${reference}`, {
    method: 'POST',
    body: '{}',
    host: `${slug}.knox.example`,
    ...how,
    headers: { ...JSON_TYPE, ...headers },
  });
}

const isPossible = (one: Cause, other: Cause) =>
  !(one.call?.headers !== undefined && other.call?.headers !== undefined);
const pairs = CAUSES.flatMap((earlier, at) =>
  CAUSES.slice(at + 1).map((later) => ({ earlier, later })),
).filter(({ earlier, later }) => isPossible(earlier, later));

describe('of two causes the earlier one answers', () => {
  it.each(CAUSES)('$type', async (cause) => {
    const answer = await refused(cause);
    expect([answer.status, errorType(answer)]).toEqual([cause.status, cause.type]);
    expect(answer.headers).not.toHaveProperty('x-knox-upstream-status');
  });

  it.each(pairs)('$earlier.type before $later.type', async ({ earlier, later }) => {
    const answer = await refused(earlier, later);
    expect([answer.status, errorType(answer)]).toEqual([earlier.status, earlier.type]);
  });
});

describe('a path that nothing decodes', () => {
  const NOBODY = `tk_live_${'a'.repeat(12)}_${'b'.repeat(40)}`;
  const entries: [string, (name: string) => [path: string, call: RouteCall]][] = [
    ['below /proxy', (name) => [`/proxy/${name}/%zz`, {}]],
    ['on the host of a tenant', (name) => [`/${name}/a%`, { host: `${slug}.knox.example` }]],
    ['by the header', (name) => ['/v1/vaults/%ff', { headers: { 'x-knoxcall-route': name } }]],
  ];

  it.each(entries)('is refused in its turn, %s', async (_, entry) => {
    const told = async (route: string, more: RouteCall = {}) => {
      const [path, call] = entry(route);
      const answer = await callRoute(server, path, { method: 'POST', body: '{}', ...call, ...more });
      expect(answer.headers).not.toHaveProperty('x-knox-upstream-status');
      return [answer.status, errorType(answer)];
    };
    const name = await routeWith([]);
    expect(await told(name, { host: 'nobody.knox.example' })).toEqual([404, 'tenant_not_found']);
    expect(await told(name, { key: null })).toEqual([401, 'authentication_required']);
    expect(await told(name, { key: NOBODY })).toEqual([401, 'invalid_api_key']);
    expect(await told('no-such-route')).toEqual([404, 'route_not_found']);
    const closed = await routeWith([{ type: '', status: 0, settings: { ip_allowlist: ['192.0.2.1'] } }]);
    expect(await told(closed)).toEqual([403, 'ip_not_allowed']);
    expect(await told(name)).toEqual([400, 'validation_error']);
  });

  it('names the field, and is in the log', async () => {
    const name = await routeWith([]);
    const { text, headers } = await callRoute(server, `/proxy/${name}/%zz`);
    expect(JSON.parse(text)).toMatchObject({
      fields: { path: ['must be valid percent-encoded UTF-8'] },
      error: { request_id: headers['x-request-id'] },
    });
    await expect
      .poll(async () => (await server.api('GET', '/v1/logs?limit=100')).json.data)
      .toContainEqual(expect.objectContaining({ request_id: headers['x-request-id'], status_code: 400 }));
  });

  it('is one that endpoints have no room for, and upstreams may', async () => {
    const name = await routeWith([]);
    const path = `/v1/vaults/${'a'.repeat(4_000)}`;
    const call = { headers: { 'x-knoxcall-route': name } };
    expect((await callRoute(server, path, { ...call, key: null })).status).toBe(401);
    const { status, headers } = await callRoute(server, path, call);
    expect([status, headers['x-knox-upstream-status']]).toEqual([200, '200']);
  });
});

describe('a refusal says', () => {
  it('route and environment where both are known', async () => {
    const { headers } = await refused(CAUSES.find(({ type }) => type === 'ip_not_allowed')!);
    expect(headers).toMatchObject({
      'x-knox-route-id': expect.any(String),
      'x-knox-environment': 'production',
      'x-request-id': expect.any(String),
    });
  });

  it('which methods are allowed', async () => {
    const { headers } = await refused(CAUSES.find(({ type }) => type === 'method_not_allowed')!);
    expect(headers['allow']).toBe('GET, PUT');
  });

  it('which address was seen', async () => {
    const { text } = await refused(CAUSES.find(({ type }) => type === 'client_not_authorized')!);
    expect(JSON.parse(text).error.ip).toBe('127.0.0.1');
  });

  it('which window was used up, and when to come again', async () => {
    const { text, headers } = await refused(CAUSES.find(({ type }) => type === 'rate_limit_exceeded')!);
    expect(JSON.parse(text).error.limit).toEqual({
      scope: 'route',
      limit: 1,
      window_sec: 86_400,
      reset_at: expect.stringMatching(/T00:00:00.000Z$/),
    });
    expect(headers).toMatchObject({
      'x-ratelimit-limit': '1',
      'x-ratelimit-remaining': '0',
      'retry-after': expect.stringMatching(/^[1-9]\d*$/),
    });
  });
});

describe('a caller whom the tenant does not know', () => {
  const shown = ({ status, headers, text }: RouteAnswer) => {
    const { date: _date, 'x-request-id': _id, ...rest } = headers;
    return { status, headers: rest, text: text.replace(/"request_id":"[^"]*"/, '') };
  };

  it.each([undefined, 'tenant'])('learns of no route (host: %s)', async (kind) => {
    const host = kind === 'tenant' ? `${slug}.knox.example` : undefined;
    const causes = CAUSES.filter(({ settings }) => settings !== undefined && !('isUsedUp' in settings));
    const names: string[] = [await routeWith([])];
    for (const cause of causes) names.push(await routeWith([{ ...cause, isUsedUp: false }]));
    const disabled = await routeWith([]);
    const { json } = await server.api('GET', `/v1/routes/${disabled}`);
    await api('PATCH', `/v1/routes/${json.data.id}`, { enabled: false });
    for (const key of [null, 'tk_live_aaaaaaaaaaaa_b']) {
      const of = async (name: string, environment?: string) =>
        shown(
          await callRoute(server, `/proxy/${name}`, {
            method: 'POST',
            body: '{}',
            key,
            ...(host === undefined ? {} : { host }),
            headers: { ...JSON_TYPE, ...(environment && { 'x-knoxcall-environment': environment }) },
          }),
        );
      const missing = await of('no-such-route');
      expect(missing.status).toBe(401);
      for (const name of [...names, disabled]) {
        expect(await of(name)).toEqual(missing);
        expect(await of(name, 'off')).toEqual(missing);
        expect(await of(name, 'unheard-of')).toEqual(missing);
      }
    }
  });
});
