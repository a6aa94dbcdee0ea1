import { createHmac } from 'node:crypto';
import { Webhooks } from '@octokit/webhooks';
// The whole package is a web server and more.
import { verifySlackRequest } from '@slack/bolt/dist/receivers/verify-request.js';
import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { systemIds } from '../../../platform/crypto/random.js';
import { type Receiver, startWebhookRig, type WebhookRig } from '../../../testing/webhook-rig.js';

let rig: WebhookRig;
let receiver: Receiver;

beforeAll(async () => {
  rig = await startWebhookRig();
  receiver = await rig.receiver('shop.example.com');
});
beforeEach(() => {
  receiver.received.length = 0;
});
afterAll(() => rig.close());

const call = (method: string, path: string, body?: object) =>
  rig.harness.call(method, path, { key: rig.harness.tenant.live, ...(body && { body }) });
const nowSeconds = () => Math.floor(rig.harness.clock.nowMs() / 1_000);

/** What a test of such a webhook brings, and the secret. */
async function tested(body: Record<string, unknown>) {
  const made = await rig.make({ url: receiver.url, event_types: ['webhook.test'], ...body });
  const { status, json } = await call('POST', `/v1/webhooks/${made['id']}/test`);
  expect([status, json['data']]).toEqual([200, { success: true, status: 200, response_time_ms: 0 }]);
  const [received] = receiver.received as [Receiver['received'][number]];
  return { ...received, secret: made['secret_key'] as string, made };
}

it('of format stripe verify by its library', async () => {
  const { body, headers, secret } = await tested({ hmac_format: 'stripe' });
  const signature = headers['stripe-signature'] as string;
  const at = new Date(rig.harness.clock.nowMs()).getTime();
  const verified = Stripe.webhooks.signature!.verifyHeader(body, signature, secret, 300, undefined, at);
  expect(verified).toBe(true);
  expect(() =>
    Stripe.webhooks.signature!.verifyHeader(`${body} `, signature, secret, 300, undefined, at),
  ).toThrow();
  expect(() =>
    Stripe.webhooks.signature!.verifyHeader(body, signature, secret, 300, undefined, at + 400_000),
  ).toThrow();
});

it('of format github verify by its library', async () => {
  const { body, headers, secret } = await tested({ hmac_format: 'github' });
  const signature = headers['x-hub-signature-256'] as string;
  const webhooks = new Webhooks({ secret });
  expect(await webhooks.verify(body, signature)).toBe(true);
  expect(await webhooks.verify(`${body} `, signature)).toBe(false);
});

it('of format slack verify by its library', async () => {
  const { body, headers, secret } = await tested({ hmac_format: 'slack' });
  const request = {
    signingSecret: secret,
    body,
    headers: {
      'x-slack-signature': headers['x-slack-signature'] as string,
      'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']),
    },
    nowMilliseconds: rig.harness.clock.nowMs(),
  };
  expect(() => verifySlackRequest(request)).not.toThrow();
  expect(() => verifySlackRequest({ ...request, body: `${body} ` })).toThrow();
});

it.each([
  ['legacy', 'x-webhook-signature', 'hex'],
  ['custom', 'x-shop-signature', 'hex'],
  ['aws-sns', 'x-amz-sns-signature', 'base64'],
] as const)('of format %s are HMAC-SHA256 of the bytes', async (format, name, encoding) => {
  const custom = format === 'custom' ? { hmac_header_name: 'X-Shop-Signature' } : {};
  const { body, headers, secret } = await tested({ hmac_format: format, ...custom });
  const mac = createHmac('sha256', secret).update(body).digest(encoding);
  expect(headers[name]).toBe(encoding === 'hex' ? `sha256=${mac}` : mac);
  expect(JSON.parse(body).timestamp).toBe(new Date(rig.harness.clock.nowMs()).toISOString());
  expect(headers['x-webhook-timestamp']).toBe(String(nowSeconds()));
});

it('are made by a crypto key where one is named, by its version of the moment', async () => {
  const { json } = await call('POST', '/v1/crypto/keys', { name: 'hooks', key_type: 'hmac-sha256' });
  const keyId = json['data'].id;
  const { made, headers, body } = await tested({ hmac_key_id: keyId, hmac_format: 'github' });
  const verifies = async (payload: string, signature: unknown) => {
    const mac = Buffer.from(String(signature).slice('sha256='.length), 'hex').toString('base64');
    const bodyOf = { data: payload, signature: mac };
    return (await call('POST', '/v1/crypto/keys/hooks/verify', bodyOf)).json['data'].valid;
  };
  expect(await verifies(body, headers['x-hub-signature-256'])).toBe(true);
  expect(made['secret_key']).toMatch(/^whsec_[\w-]{43}$/);
  await call('POST', '/v1/crypto/keys/hooks/rotate', {});
  receiver.received.length = 0;
  await call('POST', `/v1/webhooks/${made['id']}/test`);
  const [second] = receiver.received as [Receiver['received'][number]];
  expect(await verifies(second.body, second.headers['x-hub-signature-256'])).toBe(true);
  // No row tells of a signature: its delivery would be the next to be signed.
  const rows = (await call('GET', '/v1/audit-logs?action=crypto.webhook_sign')).json['data'];
  expect(rows).toEqual([]);
});

it('refuse a key that is none, or signs nothing', async () => {
  const { json } = await call('POST', '/v1/crypto/keys', { name: 'cipher' });
  for (const [id, rule] of [
    [systemIds.uuid(), 'names no crypto key'],
    [json['data'].id, 'names a key of type aes256-gcm, which cannot sign a webhook'],
  ]) {
    const body = { name: 'x', url: receiver.url, event_types: ['webhook.test'], hmac_key_id: id };
    const answer = await call('POST', '/v1/webhooks', body);
    expect([answer.status, answer.json['fields']]).toEqual([400, { hmac_key_id: [rule] }]);
  }
});

it.each([
  ['basic', { username: 'shop', password: 'p:ß' }, { authorization: `Basic ${btoa('shop:p:Ã\u009f')}` }],
  ['bearer', { token: 'abc' }, { authorization: 'Bearer abc' }],
  ['header', { name: 'X-Api-Key', value: 'abc' }, { 'x-api-key': 'abc' }],
  ['hmac', null, { 'x-webhook-signature': expect.any(String) }],
])('comes with what auth_type %s says, and further headers', async (authType, config, expected) => {
  const { headers } = await tested({
    auth_type: authType,
    auth_config: config,
    request_headers: { 'X-Environment': 'live' },
  });
  expect(headers).toMatchObject({ ...expected, 'x-environment': 'live' });
});

it('a GET has no body, and PUT and PATCH have', async () => {
  for (const method of ['GET', 'PUT', 'PATCH']) {
    receiver.received.length = 0;
    const seen = await tested({ method });
    expect([seen.method, seen.body === '']).toEqual([method, method === 'GET']);
  }
});
