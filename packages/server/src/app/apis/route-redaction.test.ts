import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callRoute } from '../../testing/route-calls.js';
import { startWholeServer, type WholeServer } from '../../testing/whole-server.js';

const BODY = JSON.stringify({ card: 'canary', other: 'kept' });
const HIDDEN = JSON.stringify({ card: '[A]', other: 'kept' });
const MATCH = { type: 'json_path', value: '$.card' };

let server: WholeServer;
let made = 0;

beforeAll(async () => {
  server = await startWholeServer();
  server.answer = (_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(BODY);
  };
});
afterAll(() => server.close());

async function api(method: string, path: string, body?: object, key?: string) {
  const { status, json } = await server.api(method, path, body, key);
  if (status >= 300) throw new Error(JSON.stringify(json));
  return json.data;
}

async function route(key?: string): Promise<{ id: string; name: string }> {
  const name = `redacted-${++made}`;
  const { id } = await api('POST', '/v1/routes', { name, slug: name, target_base_url: server.target }, key);
  return { id, name };
}

const rule = (route_ids: string[] | null, more: object = {}) =>
  api('POST', '/v1/redaction-rules', { name: 'card', match: MATCH, replacement: '[A]', route_ids, ...more });
const answer = async ({ name }: { name: string }) => (await callRoute(server, `/proxy/${name}/x`)).text;

async function ephemeral(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/proxy`, {
    headers: {
      authorization: `Bearer ${server.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${server.target}/x`,
    },
  });
  return response.text();
}

describe('a rule of a route', () => {
  it('holds for its calls, for no other’s and for no ephemeral call, from its making to its end', async () => {
    const [a, b] = [await route(), await route()];
    const { id, route_ids } = await rule([a.id.toUpperCase(), a.id]);
    expect(route_ids).toEqual([a.id]);
    expect([await answer(a), await answer(b), await ephemeral()]).toEqual([HIDDEN, BODY, BODY]);

    await api('PATCH', `/v1/redaction-rules/${id}`, { route_ids: [b.id] });
    expect([await answer(a), await answer(b), await ephemeral()]).toEqual([BODY, HIDDEN, BODY]);

    await api('PATCH', `/v1/redaction-rules/${id}`, { route_ids: null });
    expect([await answer(a), await answer(b), await ephemeral()]).toEqual([HIDDEN, HIDDEN, HIDDEN]);

    await api('DELETE', `/v1/redaction-rules/${id}`);
    expect([await answer(a), await answer(b), await ephemeral()]).toEqual([BODY, BODY, BODY]);
  });

  it('takes its place in the order among those of all', async () => {
    const [a, b] = [await route(), await route()];
    const all = await rule(null, { replacement: '[ALL]', priority: 50 });
    const own = await rule([a.id], { priority: 10 });
    expect([await answer(a), await answer(b)]).toEqual([HIDDEN, HIDDEN.replace('[A]', '[ALL]')]);
    await api('PATCH', `/v1/redaction-rules/${own.id}`, { priority: 90 });
    expect(await answer(a)).toBe(HIDDEN.replace('[A]', '[ALL]'));
    for (const { id } of [all, own]) await api('DELETE', `/v1/redaction-rules/${id}`);
  });

  it.each([
    ['an environment', 'PUT', '/environments/production'],
    ['a route', 'PATCH', ''],
  ])(
    'hides in log rows of its route alone, those of calls of %s that is off among them',
    async (_, method, below) => {
      const [a, b] = [await route(), await route()];
      for (const { id } of [a, b]) await api(method, `/v1/routes/${id}${below}`, { enabled: false });
      const { id } = await rule([a.id], { target: 'log', match: { type: 'builtin', value: 'email' } });
      const pathOf = async ({ name }: { name: string }) => {
        const { headers } = await callRoute(server, `/proxy/${name}/jo@example.org`);
        const { json } = await server.api('GET', `/v1/logs/${headers['x-request-id']}`);
        return json.data.path;
      };
      expect([await pathOf(a), await pathOf(b)]).toEqual(['/[A]', '/jo@example.org']);
      await api('DELETE', `/v1/redaction-rules/${id}`);
    },
  );

  it('loses a route that is deleted, and with the last one applies to no call', async () => {
    const [a, b, c] = [await route(), await route(), await route()];
    const { id, updated_at: madeAt } = await rule([a.id, b.id]);
    await api('DELETE', `/v1/routes/${a.id}`);
    const left = await api('GET', `/v1/redaction-rules/${id}`);
    expect(left.route_ids).toEqual([b.id]);
    expect(Date.parse(left.updated_at)).toBeGreaterThan(Date.parse(madeAt));
    expect(await answer(b)).toBe(HIDDEN);
    await api('DELETE', `/v1/routes/${b.id}`);
    expect((await api('GET', `/v1/redaction-rules/${id}`)).route_ids).toEqual([]);
    expect([await answer(c), await ephemeral()]).toEqual([BODY, BODY]);
    const [row] = await api('GET', '/v1/audit-logs?action=route.delete');
    expect(row.details).toMatchObject({ environments_deleted: 1, redaction_rules_changed: 1 });
    await api('DELETE', `/v1/redaction-rules/${id}`);
  });

  it('names no route of the other mode', async () => {
    const other = await route(server.bootstrap.test_api_key);
    const { status, json } = await server.api('POST', '/v1/redaction-rules', {
      name: 'card',
      match: MATCH,
      route_ids: [(await route()).id, other.id],
    });
    expect([status, json.fields]).toEqual([400, { 'route_ids[1]': ['names no route of this mode'] }]);
  });

  it('is tried on a sample whatever its routes are', async () => {
    const { id } = await rule([(await route()).id]);
    const { result } = await api('POST', '/v1/redaction-rules/test', { sample: JSON.parse(BODY) });
    expect(result).toEqual(JSON.parse(HIDDEN));
    await api('DELETE', `/v1/redaction-rules/${id}`);
  });
});
