import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { until } from '../../../testing/egress-rig.js';
import { type InboundRig, startInboundRig } from '../../../testing/inbound-rig.js';
import { DEAD_BYTES_MAX, WAITING_BYTES_MAX } from './bounds.js';
import { createInboundDeliveryStore } from './store.js';

const BODY = JSON.stringify({ action: 'opened', title: 'a {{secret:API_KEY}} and {{ braces' });
let rig: InboundRig;

beforeEach(async () => {
  rig = await startInboundRig();
});
afterEach(() => rig.close());

const rows = async (routeId: unknown) => {
  await rig.harness.flush();
  const { data } = await rig.api('GET', `/v1/logs?route_id=${routeId}`);
  return data;
};

describe('a request for a route', () => {
  it('is answered when it is durable, and arrives as it was sent, by the steps of the route', async () => {
    await rig.api('POST', '/v1/secrets', { name: 'API_KEY', value: 'the-key-of-the-upstream' });
    const route = await rig.route({ inject_headers_json: { 'X-Api-Key': '{{secret:API_KEY}}' } });
    const webhook = await rig.webhook(route.id);
    const { status, json } = await rig.send(
      webhook.name,
      BODY,
      {
        'x-knoxcall-environment': 'elsewhere',
        'x-knoxcall-route': 'another',
        'x-knox-verified': 'false',
        authorization: 'Bearer of-the-sender',
        via: '1.1 sender',
      },
      '?a=1',
    );
    expect([status, json.data]).toEqual([202, { accepted: true, delivery_id: expect.any(String) }]);
    expect(rig.arrived).toEqual([]);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { id: json.data.delivery_id, state: 'waiting', attempts: 0, bytes: BODY.length, last_error: null },
    ]);
    await rig.advance(100);
    expect(rig.arrived).toHaveLength(1);
    const [{ method, url, headers, body }] = rig.arrived as [InboundRig['arrived'][0]];
    expect([method, url, body]).toEqual(['POST', '/base/?a=1', BODY]);
    expect(headers).toMatchObject({
      'x-knox-verified': 'true',
      'x-api-key': 'the-key-of-the-upstream',
      'content-type': 'application/json',
      via: '1.1 sender, 1.1 knoxcall-0badcafe',
    });
    expect(headers['authorization']).toBeUndefined();
    expect(await rig.deliveries(webhook.id)).toEqual([]);
    expect(await rows(route.id)).toMatchObject([
      {
        status_code: 200,
        route_id: route.id,
        identification_method: 'inbound_webhook',
        environment: 'production',
        src_ip: '127.0.0.1',
      },
    ]);
  });

  it('is called in the environment that the webhook names', async () => {
    await rig.api('POST', '/v1/environments', { name: 'staging' });
    const route = await rig.route();
    await rig.api('PUT', `/v1/routes/${route.id}/environments/staging`, {
      target_base_url: `${rig.target}/staging`,
    });
    const webhook = await rig.webhook(route.id, { route_environment: 'staging' });
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    expect(rig.arrived.map(({ url }) => url)).toEqual(['/staging/']);
  });

  it('is tried after 1, 5 and 25 s, then a dead letter, which arrives when it is replayed', async () => {
    const route = await rig.route();
    const webhook = await rig.webhook(route.id);
    rig.answer = (_request, response) => response.writeHead(500).end('no');
    const { json } = await rig.send(webhook.name, BODY);
    await rig.advance(100);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { state: 'waiting', attempts: 1, last_status: 500, last_error: 'The upstream answered 500' },
    ]);
    const triesAfter = async (seconds: number) => {
      await rig.advance(seconds * 1_000);
      return rig.arrived.length;
    };
    // Each up to a quarter later.
    expect([await triesAfter(0.5), await triesAfter(1.25)]).toEqual([1, 2]);
    expect([await triesAfter(4.5), await triesAfter(2)]).toEqual([2, 3]);
    expect([await triesAfter(24), await triesAfter(8)]).toEqual([3, 4]);
    expect(await triesAfter(3_600)).toBe(4);
    const [dead] = await rig.deliveries(webhook.id);
    expect(dead).toMatchObject({ state: 'dead', attempts: 4, due_at: null });
    expect((await rows(route.id)).at(-1).request_id).toBe(dead.last_request_id);

    rig.answer = null;
    const path = `/v1/inbound-webhooks/${webhook.id}/deliveries/${json.data.delivery_id}/replay`;
    expect((await rig.api('POST', path)).data).toEqual({ replayed: 1 });
    const again = await rig.api('POST', path);
    expect([again.status, again.error.type]).toEqual([409, 'conflict']);
    await rig.advance(100);
    expect([rig.arrived.length, rig.arrived.at(-1)!.body]).toEqual([5, BODY]);
    expect(await rig.deliveries(webhook.id)).toEqual([]);
    expect((await rig.api('POST', path)).status).toBe(404);
    const audit = await rig.api('GET', '/v1/audit-logs?action=webhook.deliver');
    expect(audit.data).toMatchObject([{ resource_type: 'inbound_webhook', details: { replayed: 1 } }]);
  });

  it('that no try is left for is replayed with the others', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 0 });
    rig.answer = (_request, response) => response.writeHead(302, { location: '/' }).end();
    await rig.send(webhook.name, 'one');
    await rig.send(webhook.name, 'two');
    await rig.advance(100);
    expect((await rig.deliveries(webhook.id)).map(({ state }) => state)).toEqual(['dead', 'dead']);
    rig.answer = null;
    expect((await rig.api('POST', `/v1/inbound-webhooks/${webhook.id}/replay`)).data).toEqual({
      replayed: 2,
    });
    await rig.advance(100);
    expect(await rig.deliveries(webhook.id)).toEqual([]);
    expect((await rig.api('POST', `/v1/inbound-webhooks/${webhook.id}/replay`)).data).toEqual({
      replayed: 0,
    });
  });

  it('is taken once', async () => {
    const webhook = await rig.webhook((await rig.route()).id);
    expect((await rig.send(webhook.name, BODY)).status).toBe(202);
    const { status, json } = await rig.send(webhook.name, BODY);
    expect([status, json.error.type]).toEqual([403, 'replay_window_exceeded']);
    await rig.advance(100);
    expect(rig.arrived).toHaveLength(1);
  });

  it('that has been here before is a loop, and is not kept', async () => {
    const webhook = await rig.webhook((await rig.route()).id);
    const looped = await rig.send(webhook.name, BODY, { via: '1.1 knoxcall-0badcafe, 1.1 other' });
    expect([looped.status, looped.json.error.type]).toEqual([508, 'loop_detected']);
    expect(await rig.deliveries(webhook.id)).toEqual([]);
    // Nothing of it was taken: without the mark the very same is new.
    expect((await rig.send(webhook.name, BODY)).status).toBe(202);
  });

  it.each([
    ['its allowed methods', { allowed_methods: ['GET'] }, 405, /^method_not_allowed/],
    ['its clients', { requires_clients: true }, 403, /^client_not_authorized: /],
    ['its addresses', { ip_allowlist: ['192.0.2.1'] }, 403, /^ip_not_allowed: /],
    ['its signatures', { require_signature: true }, 403, /^signature_missing: /],
  ])('is judged by the route: %s', async (_what, settings, status, error) => {
    const route = await rig.route();
    await rig.api('PATCH', `/v1/routes/${route.id}`, settings);
    const webhook = await rig.webhook(route.id, { max_retries: 0 });
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    expect(rig.arrived).toEqual([]);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { state: 'dead', last_status: status, last_error: expect.stringMatching(error) },
    ]);
  });

  it('goes nowhere that the guard does not let it', async () => {
    const route = await rig.route();
    const webhook = await rig.webhook(route.id, { max_retries: 0 });
    await rig.api('PUT', '/v1/egress/allowlist', { hosts: ['elsewhere.example.com'] });
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    expect(rig.arrived).toEqual([]);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { state: 'dead', last_status: 403, last_error: expect.stringMatching(/^egress_blocked/) },
    ]);
  });

  it('whose route is deleted is a dead letter, and arrives by another one', async () => {
    const route = await rig.route();
    const webhook = await rig.webhook(route.id, { max_retries: 0 });
    await rig.api('DELETE', `/v1/routes/${route.id}`);
    expect((await rig.send(webhook.name, BODY)).status).toBe(202);
    await rig.advance(100);
    expect(await rig.deliveries(webhook.id)).toMatchObject([{ state: 'dead', last_status: 404 }]);
    const { id: route_id } = await rig.route();
    await rig.api('PATCH', `/v1/inbound-webhooks/${webhook.id}`, { route_id });
    await rig.api('POST', `/v1/inbound-webhooks/${webhook.id}/replay`);
    await rig.advance(100);
    expect(rig.arrived.map(({ body }) => body)).toEqual([BODY]);
  });

  it('that a limit refuses waits, and has all its tries left', async () => {
    const route = await rig.route({
      rate_limit_enabled: true,
      rate_limit_requests: 1,
      rate_limit_window_sec: 60,
    });
    const webhook = await rig.webhook(route.id, { max_retries: 0 });
    await rig.send(webhook.name, 'one');
    await rig.send(webhook.name, 'two');
    await rig.advance(100);
    expect(rig.arrived).toHaveLength(1);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { state: 'waiting', attempts: 0, last_error: expect.stringMatching(/^rate_limit_exceeded/) },
    ]);
    await rig.advance(125_000);
    expect(rig.arrived.map(({ body }) => body).sort()).toEqual(['one', 'two']);
    expect(await rig.deliveries(webhook.id)).toEqual([]);
  });

  it('waits while its webhook is off, and goes with it', async () => {
    const webhook = await rig.webhook((await rig.route()).id);
    await rig.send(webhook.name, BODY);
    const path = `/v1/inbound-webhooks/${webhook.id}`;
    await rig.api('PATCH', path, { enabled: false });
    await rig.advance(60_000);
    expect(rig.arrived).toEqual([]);
    await rig.api('PATCH', path, { enabled: true });
    await rig.advance(100);
    expect(rig.arrived).toHaveLength(1);
    rig.answer = (_request, response) => response.writeHead(500).end();
    await rig.send(webhook.name, 'more');
    await rig.advance(100);
    expect((await rig.api('DELETE', path)).status).toBe(200);
    await rig.advance(3_600_000);
    expect(rig.arrived).toHaveLength(2);
    expect((await rig.api('GET', `${path}/deliveries`)).status).toBe(404);
  });

  it('that was on its way when its process died is sent again, and that counts as a try', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 1 });
    const store = createInboundDeliveryStore(rig.harness.db);
    const { scope } = rig.harness.callerOf(rig.harness.tenant, 'live').principal;
    const die = async (id: string) => {
      const delivery = (await store.find(scope, id))!;
      const { attempts } = delivery;
      const sending = { ...delivery, state: 'sending', dueAtMs: null, attempts: attempts + 1 } as const;
      await rig.harness.db.transaction((tx) => store.settle(tx, sending));
    };
    const { json } = await rig.send(webhook.name, BODY);
    await die(json.data.delivery_id);
    await rig.advance(100);
    expect(rig.arrived).toEqual([]);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      {
        state: 'waiting',
        attempts: 1,
        last_error: expect.stringMatching(/^The server ended during this try/),
      },
    ]);
    await die(json.data.delivery_id);
    await rig.advance(10_000);
    expect(await rig.deliveries(webhook.id)).toMatchObject([{ state: 'dead', attempts: 2 }]);
    expect((await rig.api('POST', `/v1/inbound-webhooks/${webhook.id}/replay`)).data).toEqual({
      replayed: 1,
    });
    await rig.advance(100);
    expect(rig.arrived.map(({ body }) => body)).toEqual([BODY]);
  });

  it('is led to its route only by who may call it, whatever of the webhook is changed', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 0 });
    rig.answer = (_request, response) => response.writeHead(500).end();
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    const [{ id }] = (await rig.deliveries(webhook.id)) as [{ id: string }];
    const scopes = ['webhooks:read', 'webhooks:write'];
    const { harness } = rig;
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const body = { name: 'keeper', key_type: 'access_key', scopes };
    const made = await harness.call('POST', '/admin/api-keys', { token, body });
    const key = made.json['data'].api_key;
    const ask = async (method: string, path: string, body: object): Promise<unknown[]> => {
      const url = `/v1/inbound-webhooks/${webhook.id}${path}`;
      const { status, json } = await harness.call(method, url, { key, body });
      return [status, JSON.stringify(json['error'])];
    };
    const refused = [403, expect.stringContaining('routes:invoke')];
    for (const change of [{ secret: 'another-secret' }, { enabled: true }, { tolerance_seconds: 0 }])
      expect(await ask('PATCH', '', change)).toEqual(refused);
    expect(await ask('POST', '/replay', {})).toEqual(refused);
    expect(await ask('POST', `/deliveries/${id}/replay`, {})).toEqual(refused);
  });

  it('leaves dead letters of so many bytes, the youngest', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 0 });
    rig.answer = (_request, response) => response.writeHead(500).end();
    const large = 'x'.repeat(LIMITS.inboundWebhookBodyBytesMax - 8);
    const room = Math.floor(DEAD_BYTES_MAX / large.length);
    for (let n = 0; n <= room; n++) {
      await rig.send(webhook.name, `${n}${large}`);
      await rig.advance(100);
    }
    const { scope } = rig.harness.callerOf(rig.harness.tenant, 'live').principal;
    const store = createInboundDeliveryStore(rig.harness.db);
    expect(await store.count(scope, webhook.id)).toBe(room);
  });

  it('whose answer breaks off has not arrived', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 0 });
    rig.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => response.destroy());
    };
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    expect(await rig.deliveries(webhook.id)).toMatchObject([
      { state: 'dead', last_error: expect.any(String) },
    ]);
  });

  it('that nobody took is forgotten after 30 days', async () => {
    const webhook = await rig.webhook((await rig.route()).id, { max_retries: 0 });
    rig.answer = (_request, response) => response.writeHead(500).end();
    await rig.send(webhook.name, BODY);
    await rig.advance(100);
    await rig.advance(29 * 24 * 3_600_000);
    expect(await rig.deliveries(webhook.id)).toHaveLength(1);
    await rig.advance(24 * 3_600_000);
    expect(await rig.deliveries(webhook.id)).toEqual([]);
  });

  it('of a slow route takes no place of another’s', async () => {
    const slow = await rig.webhook((await rig.route()).id, { name: 'slow' });
    const fast = await rig.webhook((await rig.route()).id, { name: 'fast' });
    let held = 0;
    rig.answer = ({ body }, response) => {
      if (body.startsWith('slow')) held++;
      else response.end();
    };
    for (let n = 0; n < 8; n++) await rig.send(slow.name, `slow ${n}`);
    for (let n = 0; n < 8; n++) await rig.send(fast.name, `fast ${n}`);
    rig.harness.clock.advance(100);
    await until(() => rig.arrived.length === 12);
    expect(held).toBe(4);
  });

  it('is refused where too much waits, and may be sent again', async () => {
    const webhook = await rig.webhook((await rig.route()).id);
    const large = 'x'.repeat(LIMITS.inboundWebhookBodyBytesMax - 8);
    const room = Math.floor(WAITING_BYTES_MAX / large.length);
    for (let n = 0; n < room; n++) expect((await rig.send(webhook.name, `${n}${large}`)).status).toBe(202);
    const refused = await rig.send(webhook.name, `last${large}`);
    expect([refused.status, refused.json.error.type]).toEqual([503, 'dependency_unavailable']);
    await rig.advance(100);
    expect((await rig.send(webhook.name, `last${large}`)).status).toBe(202);
  });
});

describe('a webhook', () => {
  const NO_ROUTE = '6f1c1f0e-0000-4000-8000-000000000001';

  it.each([
    [{ route_id: NO_ROUTE }, ['route_id']],
    [{ route_id: null }, ['route_id', 'target_url']],
    [{ route_id: NO_ROUTE, target_url: 'https://orders.example.com/' }, ['route_id', 'target_url']],
    [
      { route_id: null, target_url: 'https://orders.example.com/', route_environment: 'x' },
      ['route_environment'],
    ],
    [{ max_retries: 11 }, ['max_retries']],
  ])('%j is refused by the name of its field', async (more, fields) => {
    const body = { name: 'w', format: 'github', secret: 'long-enough', ...more };
    const { json } = await rig.harness.call('POST', '/v1/inbound-webhooks', {
      key: rig.harness.tenant.live,
      body,
    });
    expect(Object.keys(json['fields'] ?? {}).sort()).toEqual(fields);
  });

  it('may lead from a URL to a route and back, and to none of another mode', async () => {
    const { id: route_id } = await rig.route();
    const { id } = await rig.webhook(null, { target_url: `${rig.target}/x` });
    const path = `/v1/inbound-webhooks/${id}`;
    expect((await rig.api('PATCH', path, { route_id })).status).toBe(400);
    const routed = await rig.api('PATCH', path, { route_id, target_url: null });
    expect(routed.data).toMatchObject({ route_id, target_url: null, max_retries: 3 });
    const back = await rig.api('PATCH', path, { route_id: null, target_url: `${rig.target}/y` });
    expect(back.data).toMatchObject({ route_id: null, target_url: `${rig.target}/y` });
    const body = { name: 'w', format: 'github', secret: 'long-enough', route_id };
    const foreign = await rig.harness.call('POST', '/v1/inbound-webhooks', {
      key: rig.harness.tenant.test,
      body,
    });
    expect([foreign.status, Object.keys(foreign.json['fields'] ?? {})]).toEqual([400, ['route_id']]);
  });
});
