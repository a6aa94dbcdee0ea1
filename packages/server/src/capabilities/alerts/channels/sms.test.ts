import { afterAll, beforeAll, expect, it } from 'vitest';
import { Secret } from '../../../kernel/secret.js';
import { createStatusCalls } from '../../../platform/egress/status-calls.js';
import { type Receiver, startWebhookRig, type WebhookRig } from '../../../testing/webhook-rig.js';
import { createTwilio } from './sms.js';

const ACCOUNT = `AC${'0'.repeat(32)}`;

let rig: WebhookRig;
let provider: Receiver;
beforeAll(async () => {
  rig = await startWebhookRig();
  provider = await rig.receiver('sms.example.com');
});
afterAll(() => rig.close());

function twilio(from: string) {
  const { clock, egress } = rig.harness;
  const account = { accountSid: ACCOUNT, authToken: new Secret('canary-token'), from };
  return createTwilio({
    account,
    statusCall: createStatusCalls({ clock, egress }),
    origin: new URL(provider.url).origin,
  });
}

it('asks Twilio as its documentation has it, by number or by messaging service', async () => {
  provider.answer = (_request, response) => response.writeHead(201).end('{}');
  expect(await twilio('+15005550006').send('+4915123456789', `p95 > 500 & ${'x'.repeat(400)}`)).toBeNull();
  expect(await twilio(`MG${'1'.repeat(32)}`).send('+4915123456789', 'two')).toBeNull();
  const [first, second] = provider.received;
  expect([first!.method, first!.url]).toEqual(['POST', `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`]);
  expect(first!.headers).toMatchObject({
    'content-type': 'application/x-www-form-urlencoded',
    authorization: `Basic ${Buffer.from(`${ACCOUNT}:canary-token`).toString('base64')}`,
  });
  const form = new URLSearchParams(first!.body);
  expect([form.get('To'), form.get('From'), form.get('Body')!.length]).toEqual([
    '+4915123456789',
    '+15005550006',
    320,
  ]);
  expect(form.get('Body')).toMatch(/^p95 > 500 & x/);
  expect(new URLSearchParams(second!.body).get('MessagingServiceSid')).toBe(`MG${'1'.repeat(32)}`);
});

it('says what the provider answered', async () => {
  provider.answer = (_request, response) => response.writeHead(401).end('{}');
  expect(await twilio('+15005550006').send('+4915123456789', 'x')).toBe('The SMS provider answered 401');
});
