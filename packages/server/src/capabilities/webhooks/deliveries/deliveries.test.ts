import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { turns, until } from '../../../testing/egress-rig.js';
import { type Receiver, startWebhookRig, type WebhookRig } from '../../../testing/webhook-rig.js';

let rig: WebhookRig;
let receiver: Receiver;

beforeEach(async () => {
  rig = await startWebhookRig();
  receiver = await rig.receiver('shop.example.com');
});
afterEach(() => rig.close());

const call = (method: string, path: string, body?: object) =>
  rig.harness.call(method, path, { key: rig.harness.tenant.live, ...(body && { body }) });

/** An act that leaves one audit row. */
async function act(name: string): Promise<void> {
  expect((await call('POST', '/v1/vaults', { name })).status).toBe(201);
}

const actionsOf = (one: Receiver) => one.received.map(({ body }) => JSON.parse(body).data.action);

async function counts(id: unknown) {
  const { data } = (await call('GET', `/v1/webhooks/${id}`)).json;
  return [data.trigger_count, data.success_count, data.failure_count];
}

describe('a delivery', () => {
  it('brings an audit row, once', async () => {
    const { id } = await rig.make({ url: receiver.url });
    await act('cards');
    await rig.settle();
    expect(actionsOf(receiver)).toEqual(['webhook.create', 'vault.create']);
    const [, { headers, body, method }] = receiver.received as [unknown, Receiver['received'][number]];
    expect(method).toBe('POST');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-webhook-event': 'audit.event',
      'x-webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'x-webhook-signature': expect.stringMatching(/^sha256=[0-9a-f]{64}$/),
    });
    const event = JSON.parse(body);
    expect(Object.keys(event)).toEqual(['event', 'timestamp', 'occurred_at', 'data']);
    expect(event.data).toMatchObject({
      action: 'vault.create',
      resource_type: 'vault',
      details: { sandbox: false },
      ip_address: '127.0.0.1',
    });
    expect(await counts(id)).toEqual([2, 2, 0]);
    const rows = await rig.logs(id);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      delivery_id: headers['x-webhook-id'],
      http_method: 'POST',
      target_url: receiver.url,
      source_ip: null,
      response_status: 200,
      success: true,
      error_message: null,
      attempt: 1,
      delivery_state: 'delivered',
    });
  });

  it('of one mode, and of one tenant, is not for another', async () => {
    const { tenant, other } = rig.harness;
    await rig.make({ url: receiver.url }, tenant.test);
    await rig.make({ url: receiver.url }, other.live);
    await rig.settle();
    receiver.received.length = 0;
    await act('cards');
    await rig.settle();
    expect(receiver.received).toEqual([]);
  });

  it('made for whoever reads more is not led elsewhere by who reads less', async () => {
    const { harness } = rig;
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const made = await harness.call('POST', '/admin/api-keys', {
      token,
      body: { name: 'narrow', key_type: 'access_key', scopes: ['webhooks:write', 'audit_log:list'] },
    });
    const key = made.json['data'].api_key;
    const elsewhere = await rig.receiver('elsewhere.example.com');
    const move = { url: elsewhere.url, secret_key: null };
    const { id } = await rig.make({ url: receiver.url, max_retries: 0 });
    receiver.answer = (_request, response) => response.writeHead(500).end();
    await rig.settle();
    expect((await rig.logs(id))[0]).toMatchObject({ delivery_state: 'dead' });
    const asked = await harness.call('PATCH', `/v1/webhooks/${id}`, { key, body: move });
    expect([asked.status, asked.json['error'].message]).toEqual([403, expect.stringMatching(/^url: /)]);
    expect((await call('GET', `/v1/webhooks/${id}`)).json['data'].url).toBe(receiver.url);
    expect(elsewhere.received).toEqual([]);
    // Who reads all of it may.
    expect((await call('PATCH', `/v1/webhooks/${id}`, move)).status).toBe(200);
    const empty = await rig.make({ url: receiver.url, event_types: ['webhook.test'] });
    const own = await harness.call('PATCH', `/v1/webhooks/${empty.id}`, { key, body: move });
    expect(own.status).toBe(200);
  });

  it('survives a receiver that answers 500 for an hour, and is tried no more than it may be', async () => {
    const { id } = await rig.make({ url: receiver.url, max_retries: 6 });
    await rig.settle();
    receiver.received.length = 0;
    receiver.answer = (_request, response) => response.writeHead(500).end();
    await act('cards');
    await rig.settle();
    for (let minutes = 0; minutes < 60; minutes++) await rig.advance(60_000);
    // 0, 1, 6, 31, 156, 781 s, each up to a quarter later.
    expect(receiver.received).toHaveLength(6);
    const ids = new Set(receiver.received.map(({ headers }) => headers['x-webhook-id']));
    expect(ids.size).toBe(1);
    const stamps = new Set(receiver.received.map(({ body }) => JSON.parse(body).timestamp));
    expect(stamps.size).toBe(6);
    receiver.answer = null;
    for (let minutes = 0; minutes < 30; minutes += 5) await rig.advance(300_000);
    await rig.settle();
    expect(receiver.received).toHaveLength(7);
    expect(await counts(id)).toEqual([2, 2, 0]);
    expect((await rig.logs(id)).map(({ attempt, success }) => [attempt, success])).toContainEqual([7, true]);
  });

  it('that was given up is a dead letter, which is delivered when it is replayed', async () => {
    const { id } = await rig.make({ url: receiver.url });
    await rig.settle();
    receiver.answer = (_request, response) => response.writeHead(500).end('no');
    await act('cards');
    await act('more');
    for (let seconds = 0; seconds < 60; seconds += 10) await rig.advance(10_000);
    await rig.settle();
    expect(await counts(id)).toEqual([3, 1, 2]);
    const rows = await rig.logs(id);
    const dead = rows.filter((row) => row['delivery_state'] === 'dead');
    expect(dead).toHaveLength(8);
    expect(dead[0]).toMatchObject({
      response_status: 500,
      success: false,
      error_message: 'The receiver answered 500',
      attempt: 4,
    });
    receiver.answer = null;
    receiver.received.length = 0;
    const replayed = await call('POST', `/v1/webhooks/${id}/logs/${dead[0]!['id']}/replay`);
    expect([replayed.status, replayed.json['data']]).toEqual([200, { replayed: 1 }]);
    await rig.settle();
    expect(receiver.received.map(({ headers }) => headers['x-webhook-id'])).toContain(
      dead[0]!['delivery_id'],
    );
    const again = await call('POST', `/v1/webhooks/${id}/logs/${dead[0]!['id']}/replay`);
    expect([again.status, again.json['error'].type]).toEqual([409, 'conflict']);
    expect((await call('POST', `/v1/webhooks/${id}/replay`)).json['data']).toEqual({ replayed: 1 });
    expect((await call('POST', `/v1/webhooks/${id}/replay`)).json['data']).toEqual({ replayed: 0 });
    await rig.settle();
    // Both, and the audit rows of the two replays: they lead to no further ones.
    expect(actionsOf(receiver).sort()).toEqual([
      'vault.create',
      'vault.create',
      'webhook.deliver',
      'webhook.deliver',
    ]);
    await rig.settle();
    expect(receiver.received).toHaveLength(4);
  });

  it('to a receiver that does not answer ends after its time, and is tried again', async () => {
    const { id } = await rig.make({
      url: receiver.url,
      timeout_seconds: 5,
      event_types: ['webhook.test', 'audit.event'],
    });
    await rig.settle();
    receiver.received.length = 0;
    receiver.answer = () => {};
    await act('cards');
    rig.harness.clock.advance(400);
    await until(() => receiver.received.length === 1);
    receiver.answer = null;
    await rig.advance(5_000);
    await rig.settle();
    expect(receiver.received).toHaveLength(2);
    const [second, first] = await rig.logs(id);
    expect(first).toMatchObject({
      success: false,
      response_status: null,
      response_time_ms: 5_000,
      error_message: expect.stringMatching(/^upstream_timeout/),
    });
    expect(second).toMatchObject({ success: true, attempt: 2 });
  });

  it('follows no redirect, and goes to no address that became private', async () => {
    rig.dns.set('inside.example.com', ['10.1.2.3']);
    receiver.answer = (_request, response) =>
      response.writeHead(302, { location: 'https://inside.example.com/' }).end();
    const { id } = await rig.make({ url: receiver.url, max_retries: 0 });
    await rig.settle();
    expect((await rig.logs(id))[0]).toMatchObject({
      response_status: 302,
      success: false,
      error_message: 'The receiver answered 302; redirects are not followed',
    });
    expect(rig.dns.queries.map(({ name }) => name)).not.toContain('inside.example.com');
    rig.dns.set('shop.example.com', ['10.1.2.3']);
    await rig.advance(61_000);
    receiver.received.length = 0;
    await act('cards');
    await rig.settle();
    expect(receiver.received).toEqual([]);
    expect((await rig.logs(id))[0]).toMatchObject({
      response_status: null,
      success: false,
      error_message: 'ssrf_blocked: The host resolves to a private address',
    });
  });

  it('that is slow takes no place of another webhook’s', async () => {
    const slow = await rig.receiver('slow.example.com');
    slow.answer = () => {};
    await rig.make({ url: slow.url, name: 'slow' });
    await rig.make({ url: receiver.url, name: 'fast' });
    for (let n = 0; n < 8; n++) await act(`v${n}`);
    rig.harness.clock.advance(400);
    await until(() => slow.received.length === 4);
    // Its time does not pass: each try of the other that ends makes room for one more of that.
    rig.harness.clock.advance(300);
    await until(() => receiver.received.length === 10);
    expect(slow.received.length).toBe(4);
    slow.answer = null;
    // In steps in which the job's lease is renewed.
    for (let seconds = 0; seconds < 30; seconds += 5) {
      rig.harness.clock.advance(5_000);
      await rig.harness.db.flush();
      await turns(2_000);
    }
    await rig.advance(0);
    await rig.settle();
    await rig.settle();
    // Those of a run whose lease ran out, as the clock goes faster than the machine, come again under their ids.
    const ids = (received: Receiver['received']) =>
      new Set(received.map(({ headers }) => headers['x-webhook-id']));
    expect(ids(slow.received.slice(0, 4)).size).toBe(4);
    expect(ids(slow.received.slice(4)).size).toBe(10);
  });

  it('waits while its webhook is off, and goes on when it is on again', async () => {
    const { id } = await rig.make({ url: receiver.url });
    await rig.settle();
    receiver.answer = (_request, response) => response.writeHead(503).end();
    await act('cards');
    await rig.advance(400);
    receiver.answer = null;
    receiver.received.length = 0;
    await call('PATCH', `/v1/webhooks/${id}`, { enabled: false });
    await rig.advance(60_000);
    expect(receiver.received).toEqual([]);
    await call('PATCH', `/v1/webhooks/${id}`, { enabled: true });
    await rig.settle();
    expect(actionsOf(receiver)).toContain('vault.create');
  });
});
