import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import type { JsonTree } from '../../../testing/calls.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createProofStore, createReplays } from '../../dpop/index.js';
import { checkSignature, type SignedCall, type SignedRequest } from './signature.js';

const KEY = 'a signing secret';
const SETTINGS = {
  signatureToleranceSec: 300,
  signatureHeader: 'X-Signature',
  timestampHeader: 'X-Timestamp',
};
const NOW_SEC = 1_800_000_000;
const BODY = Buffer.from('{"amount":10}');

const hmac = (text: string, key = KEY) => createHmac('sha256', key).update(text).digest('hex');

/** As a client writes it: `timestamp + method + path + body`, and a nonce behind the timestamp where it has one. */
function signed(change: Partial<SignedRequest> = {}, key = KEY): SignedRequest {
  const request = {
    method: 'POST',
    path: '/charges?x=1',
    timestamp: String(NOW_SEC),
    nonce: null,
    body: BODY,
    ...change,
  };
  const text = `${request.timestamp}${request.nonce ?? ''}${request.method}${request.path}${request.body}`;
  return { signature: hmac(text, key), ...request };
}

/** Of a client whose secret is `key`; each nonce is new. */
const judged = (request: SignedRequest, settings = {}, key = KEY) =>
  checkSignature(
    {
      secrets: { signingSecretOf: async () => ({ value: new Secret(key), isExpired: false }) },
      clock: { nowMs: () => NOW_SEC * 1000 + 999 },
      replays: { take: async () => true },
    },
    {
      scope: { tenantId: 'of the test' as TenantId, sandbox: false },
      environment: 'production',
      client: { id: 'one', signingSecretId: 'its own' },
      settings: { ...SETTINGS, ...settings },
      request,
    },
  );

const outcome = (request: SignedRequest, settings = {}, key = KEY): Promise<string | undefined> =>
  judged(request, settings, key).then(
    () => 'valid',
    (error: { type?: string }) => error.type,
  );

describe('a signature', () => {
  it('of known bytes is as OpenSSL writes it', async () => {
    // printf '1800000000POST/charges?x=1{"amount":10}' | openssl dgst -sha256 -hmac 'a signing secret'
    expect(signed().signature).toBe('68c990a88f02936cbc2670b050d8a7ab18c8ef5359dd6b5eac3c0aef22ee972f');
    expect(await outcome(signed())).toBe('valid');
  });

  it.each<[string, Partial<SignedRequest>, string]>([
    ['another method', { method: 'PUT' }, 'invalid_signature'],
    ['another path', { path: '/charges?x=2' }, 'invalid_signature'],
    ['another body', { body: Buffer.from('{"amount":1000}') }, 'invalid_signature'],
    ['another time', { timestamp: String(NOW_SEC + 1) }, 'invalid_signature'],
    ['no signature', { signature: null }, 'signature_missing'],
    ['an empty signature', { signature: '' }, 'signature_missing'],
    ['no time', { timestamp: null }, 'signature_missing'],
    ['a signature that is no hex', { signature: 'z'.repeat(64) }, 'invalid_signature'],
    ['a short signature', { signature: 'ab' }, 'invalid_signature'],
    ['a time that is no number', { timestamp: '1.8e9' }, 'invalid_signature'],
    ['a time below zero', { timestamp: '-5' }, 'invalid_signature'],
    ['a time in milliseconds', { timestamp: `${NOW_SEC}000` }, 'invalid_signature'],
  ])('with %s is %s', async (_name, change, expected) => {
    expect(await outcome({ ...signed(), ...change })).toBe(expected);
  });

  it('by another secret, or by none, is no good', async () => {
    expect(await outcome(signed({}, 'another'))).toBe('invalid_signature');
    expect(await outcome(signed({}, ''), {}, '')).toBe('invalid_signature');
  });

  it('may be written in capitals, and over no body and bytes that are no text', async () => {
    const capitals = { ...signed(), signature: signed().signature!.toUpperCase() };
    expect(await outcome(capitals)).toBe('valid');
    expect(await outcome(signed({ method: 'GET', body: Buffer.alloc(0) }))).toBe('valid');
    const body = Buffer.from([0xff, 0x00, 0xfe]);
    const digest = createHmac('sha256', KEY).update('1800000000POST/').update(body).digest('hex');
    expect(await outcome({ ...signed({ path: '/', body }), signature: digest })).toBe('valid');
  });

  it.each([
    [0, 300, 'valid'],
    [-300, 300, 'valid'],
    [300, 300, 'valid'],
    [-301, 300, 'signature_expired'],
    [301, 300, 'signature_expired'],
    [0, 0, 'valid'],
    [1, 0, 'signature_expired'],
    [-1, 0, 'signature_expired'],
  ])('%d s away, where %d s are taken, is %s', async (distance, signatureToleranceSec, expected) => {
    expect(await outcome(signed({ timestamp: String(NOW_SEC + distance) }), { signatureToleranceSec })).toBe(
      expected,
    );
  });

  it('names the headers that the route names', async () => {
    const settings = { signatureHeader: 'X-Sig', timestampHeader: 'X-Ts' };
    const unsigned = { ...signed(), signature: null, timestamp: null };
    await expect(judged(unsigned, settings)).rejects.toThrow(/X-Sig, X-Ts/);
  });
});

describe('a nonce', () => {
  const nonce = 'n0nce-0001';

  it('is covered by the signature, and cannot be taken out of it', async () => {
    expect(await outcome(signed({ nonce }))).toBe('valid');
    const moved = [
      { nonce: null },
      { nonce: 'n0nce-0002' },
      { nonce: null, timestamp: `${NOW_SEC}${nonce}` },
    ];
    for (const change of moved)
      expect(await outcome({ ...signed({ nonce }), ...change })).toBe('invalid_signature');
    const digits = '12345678';
    const asTime = { ...signed({ nonce: digits }), nonce: null, timestamp: `${NOW_SEC}${digits}` };
    expect(await outcome(asTime)).toBe('invalid_signature');
  });

  it('holds no slash, so that nothing of the path is taken for one', async () => {
    // What was signed of POST /files/POST/x, without a nonce, reads as POST /x with that nonce.
    const taken = { ...signed({ path: '/files/POST/x' }), nonce: 'POST/files/', path: '/x' };
    expect(signed({ nonce: 'POST/files/', path: '/x' }).signature).toBe(taken.signature);
    expect(await outcome(taken)).toBe('invalid_signature');
    for (const odd of ['abcdefgh/', '/abcdefgh', 'abc/defgh', 'abcd efgh', 'abcdefg', 'abcdéfgh'])
      expect(await outcome(signed({ nonce: odd }))).toBe('invalid_signature');
    expect(await outcome(signed({ nonce: 'AZaz09._~+=-' }))).toBe('valid');
  });

  it("that no signature covers is the upstream's", async () => {
    expect(await outcome({ ...signed(), nonce })).toBe('valid');
  });
});

describe('a route that is signed', () => {
  let harness: Harness;
  let secretId: string;
  beforeAll(async () => {
    harness = await createHarness({ startMs: NOW_SEC * 1000 });
    secretId = await make({ name: 'SIGNING', value: KEY, allowed_hosts: ['elsewhere.example.com'] });
  });
  afterAll(() => harness.close());

  async function make(body: object): Promise<string> {
    const answer = await harness.call('POST', '/v1/secrets', { key: harness.tenant.live, body });
    expect(answer.status, answer.text).toBe(201);
    return (answer.json['data'] as JsonTree)['id'] as string;
  }
  const check = (
    change: Partial<SignedCall> = {},
    replays = createReplays({ store: createProofStore(harness.db), clock: harness.clock }),
  ) =>
    checkSignature(
      { secrets: harness.secrets, clock: harness.clock, replays },
      {
        scope: harness.callerOf(harness.tenant, 'live').principal.scope,
        environment: 'production',
        client: { id: 'one', signingSecretId: secretId },
        settings: SETTINGS,
        request: signed(),
        ...change,
      },
    );
  const refusal = (type: string, status = 403) => expect.objectContaining({ type, status });

  it('takes the secret of the client, wherever that may be sent', async () => {
    await expect(check()).resolves.toEqual({ isExpired: false });
  });

  it('tells of a secret that has expired and is good all the same', async () => {
    const id = await make({ name: 'PAST', value: KEY, expires_at: '2020-01-01T00:00:00Z' });
    await expect(check({ client: { id: 'one', signingSecretId: id } })).resolves.toEqual({ isExpired: true });
  });

  it('lets nobody by without a secret of its own', async () => {
    const expired = await make({
      name: 'OLD',
      value: KEY,
      expires_at: new Date(harness.clock.nowMs() + 1_000).toISOString(),
      strict_expiry_enforcement: true,
    });
    harness.clock.advance(2_000);
    const clients = [
      null,
      { id: 'one', signingSecretId: null },
      { id: 'one', signingSecretId: '00000000-0000-4000-8000-00000000dead' },
      { id: 'one', signingSecretId: expired },
    ];
    for (const client of clients)
      await expect(check({ client })).rejects.toEqual(refusal('invalid_signature'));
    const foreign = harness.callerOf(harness.other, 'live').principal.scope;
    await expect(check({ scope: foreign })).rejects.toEqual(refusal('invalid_signature'));
    const unsigned = { ...signed(), signature: null };
    await expect(check({ client: null, request: unsigned })).rejects.toEqual(refusal('signature_missing'));
  });

  it("takes a nonce once, whichever process is asked, and another client's by itself", async () => {
    const request = signed({ nonce: 'nonce-of-one' });
    await check({ request });
    for (let i = 0; i < 2; i++)
      await expect(check({ request })).rejects.toEqual(refusal('invalid_signature'));
    await check({ request, client: { id: 'two', signingSecretId: secretId } });
    // Without one a signature is good as long as its time is.
    await check();
    await check();
  });
});
