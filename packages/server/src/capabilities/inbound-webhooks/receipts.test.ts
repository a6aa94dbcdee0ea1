import { afterAll, beforeAll, expect, it } from 'vitest';
import { type InboundRig, startInboundRig } from '../../testing/inbound-rig.js';

const DAY_MS = 24 * 3_600_000;
let rig: InboundRig;

beforeAll(async () => {
  rig = await startInboundRig();
});
afterAll(() => rig.close());

const outcome = ({ status, json }: Awaited<ReturnType<InboundRig['send']>>) => [status, json.error?.type];
const TAKEN = [202, undefined];
const REPEATED = [403, 'replay_window_exceeded'];

it('a body that does not say when it was sent is taken once in 30 days', async () => {
  const { name } = await rig.webhook((await rig.route()).id);
  expect(outcome(await rig.send(name, 'undated'))).toEqual(TAKEN);
  await rig.advance(29 * DAY_MS);
  expect(outcome(await rig.send(name, 'undated'))).toEqual(REPEATED);
  // One more byte is another body.
  expect(outcome(await rig.send(name, 'undated '))).toEqual(TAKEN);
  await rig.advance(DAY_MS);
  expect(outcome(await rig.send(name, 'undated'))).toEqual(TAKEN);
});

it('a body that says when is taken once in its window, and is too old after it', async () => {
  const { name } = await rig.webhook((await rig.route()).id, { tolerance_seconds: 60 });
  const body = JSON.stringify({ timestamp: new Date(rig.harness.clock.nowMs()).toISOString() });
  expect(outcome(await rig.send(name, body))).toEqual(TAKEN);
  await rig.advance(59_000);
  const within = await rig.send(name, body);
  expect([...outcome(within), within.json.error.message]).toEqual([
    ...REPEATED,
    'The request was here before',
  ]);
  await rig.advance(2_000);
  const later = await rig.send(name, body);
  expect([...outcome(later), later.json.error.message]).toEqual([
    ...REPEATED,
    'The request is older than 60 seconds, or from the future',
  ]);
});

it('a body is the same whichever version of the key has signed it, and however that is written', async () => {
  const key = await rig.api('POST', '/v1/crypto/keys', { name: 'inbound', key_type: 'hmac-sha256' });
  const { name } = await rig.webhook((await rig.route()).id, { secret: null, hmac_key_id: key.data.id });
  const signed = async () => {
    const sign = { payload: 'once', format: 'github' };
    const { data } = await rig.api('POST', '/v1/crypto/keys/inbound/webhook-sign', sign);
    return data.signature_header as string;
  };
  const first = await signed();
  await rig.api('POST', '/v1/crypto/keys/inbound/rotate');
  const second = await signed();
  expect(second).not.toBe(first);
  const send = (signature: string) => rig.send(name, 'once', { 'x-hub-signature-256': signature });
  expect(outcome(await send(first))).toEqual(TAKEN);
  for (const signature of [second, first, first.replace('sha256=', '')])
    expect(outcome(await send(signature))).toEqual(REPEATED);
});

it('the same body is another request of another webhook', async () => {
  const { id } = await rig.route();
  const [one, other] = [await rig.webhook(id), await rig.webhook(id)];
  expect(outcome(await rig.send(one.name, 'shared'))).toEqual(TAKEN);
  expect(outcome(await rig.send(other.name, 'shared'))).toEqual(TAKEN);
});
