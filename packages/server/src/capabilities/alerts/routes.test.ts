import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TestCall } from '../../testing/calls.js';
import { startDnsServer, type TestDnsServer } from '../../testing/dns-server.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/admin/alerts';
let harness: Harness;
let dns: TestDnsServer;
let owner: string;

beforeAll(async () => {
  dns = await startDnsServer({
    records: { 'slack.example.com': ['93.184.215.14'], 'inside.example.com': ['10.0.0.7'] },
  });
  harness = await createHarness({ egress: { dnsServers: [dns] } });
  owner = await harness.signIn(harness.tenant.ownerEmail);
});
afterAll(async () => {
  await harness.close();
  await dns.close();
});
afterEach(async () => {
  const { json } = await call('GET', `${PATH}?per_page=100`);
  for (const { id } of json['data']) await call('DELETE', `${PATH}/${id}`);
});

const call = (method: string, path: string, body?: unknown, more: TestCall = {}) =>
  harness.call(method, path, { token: owner, ...(body !== undefined && { body }), ...more });

const BASE = { name: 'a', type: 'request_failures', condition: { threshold: 5 }, channels: [] };
const SLACK = { type: 'slack', url: 'https://slack.example.com/services/T/B/x' };
const HOOK = { type: 'webhook', url: 'https://slack.example.com/hook', secret: 'a-secret-of-length-16' };

async function make(body: Record<string, unknown> = {}) {
  const { status, json, text } = await call('POST', PATH, { ...BASE, ...body });
  expect([status, status === 201 ? '' : text]).toEqual([201, '']);
  return json['data'];
}
const fieldsOf = async (method: string, path: string, body: unknown) => {
  const { status, json } = await call(method, path, body);
  return [status, Object.keys(json['fields'] ?? {}).sort()];
};
const lastAudit = async (action: string) => {
  const { json } = await harness.call('GET', `/v1/audit-logs?action=${action}`, { key: harness.tenant.live });
  return json['data'][0];
};

describe('an alert', () => {
  it('has defaults by its type', async () => {
    const { id, created_at, updated_at, ...rest } = await make();
    expect(rest).toEqual({
      ...BASE,
      description: null,
      severity: 'warning',
      condition: { threshold: 5, window_minutes: 5, include_status_codes: [] },
      route_id: null,
      environment: null,
      cooldown_minutes: 15,
      enabled: true,
      trigger_count: 0,
      last_triggered_at: null,
      quiet_until: null,
      sandbox: false,
    });
    const latency = await make({ type: 'high_latency', condition: { threshold_ms: 800 } });
    expect(latency.condition).toEqual({
      threshold_ms: 800,
      percentile: 95,
      window_minutes: 5,
      min_requests: 10,
    });
    const limited = await make({ type: 'rate_limit_exceeded', condition: {} });
    expect(limited.condition).toEqual({ threshold: 1, window_minutes: 5 });
  });

  it.each([
    [{ condition: {} }, ['condition.threshold']],
    [{ condition: { threshold: 0 } }, ['condition.threshold']],
    [{ condition: { threshold: 1, window_minutes: 1_441 } }, ['condition.window_minutes']],
    [{ condition: { threshold: 1, percentile: 95 } }, ['condition.percentile']],
    [{ condition: { threshold: 1, include_status_codes: [600] } }, ['condition.include_status_codes[0]']],
    [{ type: 'high_latency' }, ['condition.threshold', 'condition.threshold_ms']],
    [{ type: 'high_latency', condition: { threshold_ms: 1, percentile: 90 } }, ['condition.percentile']],
    [{ type: 'nonsense' }, ['type']],
    [{ cooldown_minutes: 4 }, ['cooldown_minutes']],
    [{ channels: [{ type: 'email' }] }, ['channels[0].to']],
    [{ channels: [{ type: 'email', to: 'a@example.com, b@example.com' }] }, ['channels[0].to']],
    [{ channels: [{ type: 'slack' }] }, ['channels[0].url']],
    [{ channels: [{ ...SLACK, url: 'http://slack.example.com/x' }] }, ['channels[0].url']],
    [{ channels: [SLACK, { ...HOOK, url: 'https://10.0.0.7/x' }] }, ['channels[1].url']],
    [{ channels: [{ ...SLACK, id: '6f1c1f0e-0000-4000-8000-000000000009' }] }, ['channels[0].id']],
    [{ channels: Array(11).fill({ type: 'email', to: 'a@example.com' }) }, ['channels']],
    [{ unknown: 1 }, ['unknown']],
  ])('%j is refused by the name of its field', async (body, fields) => {
    expect(await fieldsOf('POST', PATH, { ...BASE, ...body })).toEqual([400, fields]);
  });

  it('does not lead into the own network', async () => {
    const channels = [{ ...SLACK, url: 'https://inside.example.com/x' }];
    const { status, json } = await call('POST', PATH, { ...BASE, channels });
    expect([status, json['error'].type]).toEqual([403, 'ssrf_blocked']);
  });

  it('keeps channels that are named, with what they hold; a secret does not go elsewhere unseen', async () => {
    const { id, channels } = await make({ channels: [SLACK, HOOK] });
    expect(channels).toEqual([
      { id: expect.any(String), type: 'slack', url: 'https://slack.example.com/****' },
      { id: expect.any(String), type: 'webhook', url: 'https://slack.example.com/****', has_secret: true },
    ]);
    const [slack, hook] = channels.map(({ id: of, type }: Record<string, string>) => ({ id: of, type }));
    const kept = await call('PATCH', `${PATH}/${id}`, { channels: [hook, slack] });
    expect(kept.json['data'].channels).toEqual([channels[1], channels[0]]);
    const moved = { ...hook, url: 'https://slack.example.com/elsewhere' };
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, { channels: [moved] })).toEqual([
      400,
      ['channels[0].secret', 'channels[0].url'],
    ]);
    const again = await call('PATCH', `${PATH}/${id}`, { channels: [{ ...moved, secret: HOOK.secret }] });
    expect(again.status).toBe(200);
    const bare = await call('PATCH', `${PATH}/${id}`, { channels: [{ ...hook, secret: null }] });
    expect(bare.json['data'].channels[0].has_secret).toBe(false);
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, { channels: [{ ...hook, type: 'slack' }] })).toEqual([
      400,
      ['channels[0].type'],
    ]);
  });

  it('is switched, changed and deleted, each under a name of its own', async () => {
    const { id } = await make();
    await call('PATCH', `${PATH}/${id}`, { enabled: false });
    expect((await lastAudit('alert.disable')).resource_id).toBe(id);
    await call('PATCH', `${PATH}/${id}`, { enabled: true });
    expect((await lastAudit('alert.enable')).resource_id).toBe(id);
    await call('PATCH', `${PATH}/${id}`, { enabled: true, name: 'b' });
    expect((await lastAudit('alert.update')).details.changed).toEqual(['name', 'enabled']);
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, { type: 'high_latency' })).toEqual([400, ['condition']]);
    expect(await fieldsOf('PATCH', `${PATH}/${id}`, {})).toEqual([400, ['body']]);
    expect((await call('DELETE', `${PATH}/${id}`)).json['data']).toEqual({ deleted: true });
    expect((await call('GET', `${PATH}/${id}`)).status).toBe(404);
  });

  it('is nobody else’s, nor of the other mode, nor to be written by a viewer', async () => {
    const { id } = await make();
    const foreign = await harness.signIn(harness.other.ownerEmail);
    const viewer = await harness.signInAs('viewer');
    const status = async (method: string, path: string, token: string, headers = {}) =>
      (
        await harness.call(method, path, {
          token,
          headers,
          ...(method === 'PATCH' && { body: { name: 'x' } }),
        })
      ).status;
    for (const path of [`${PATH}/${id}`, `${PATH}/${id}/firings`]) {
      expect(await status('GET', path, foreign)).toBe(404);
      expect(await status('GET', path, owner, { 'x-knoxcall-mode': 'test' })).toBe(404);
      expect(await status('GET', path, viewer)).toBe(200);
    }
    expect(await status('PATCH', `${PATH}/${id}`, viewer)).toBe(403);
    expect((await harness.call('GET', '/v1/alerts', { key: harness.tenant.live })).status).toBe(404);
  });
});

it('is tested five times a minute and tenant, whichever alert and mode', async () => {
  const sandbox = { headers: { 'x-knoxcall-mode': 'test' } };
  const [one, other] = [(await make()).id, (await make({ name: 'b' })).id];
  const inTest = (await call('POST', PATH, BASE, sandbox)).json['data'].id;
  const tested = async (id: unknown, more: TestCall = {}) =>
    (await call('POST', `${PATH}/${id}/test`, undefined, more)).status;
  const given = [await tested(one), await tested(one), await tested(other), await tested(inTest, sandbox)];
  expect([...given, await tested(other)]).toEqual([200, 200, 200, 200, 200]);
  const refused = await call('POST', `${PATH}/${one}/test`);
  expect([refused.status, refused.json['error'].type]).toEqual([429, 'rate_limit_exceeded']);
  expect(Number(refused.headers['retry-after'])).toBe(60);
  expect(await tested(inTest, sandbox)).toBe(429);

  const foreign = { token: await harness.signIn(harness.other.ownerEmail) };
  const theirs = (await call('POST', PATH, BASE, foreign)).json['data'].id;
  expect(await tested(theirs, foreign)).toBe(200);
  await harness.advance(59_000);
  expect(await tested(one)).toBe(429);
  await harness.advance(1_000);
  expect(await tested(one)).toBe(200);
  await call('DELETE', `${PATH}/${inTest}`, undefined, sandbox);
});

it('channels are of the plans that have them, and alerts of those that have mail', async () => {
  const ask = async (channels: readonly unknown[]) => {
    const { status, json } = await call('POST', PATH, { ...BASE, channels });
    return status === 201 ? 201 : [status, json['error'].type];
  };
  const mail = { type: 'email', to: 'ops@example.com' };
  const set = (plan: 'starter' | 'free' | 'enterprise') =>
    harness.tenantSwitch.changeBySlug(harness.tenant.slug, { plan });
  await set('starter');
  await harness.advance(1_500);
  owner = await harness.signIn(harness.tenant.ownerEmail);
  expect([await ask([mail]), await ask([SLACK])]).toEqual([201, [402, 'plan_feature']]);
  await set('free');
  await harness.advance(1_500);
  expect(await ask([])).toEqual([402, 'plan_feature']);
  await set('enterprise');
  await harness.advance(1_500);
});
