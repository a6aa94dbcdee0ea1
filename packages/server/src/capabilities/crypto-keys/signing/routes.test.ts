import { createHmac, createPublicKey, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import type { TestCall } from '../../../testing/calls.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { kmsTables } from '../../kms/index.js';
import type { KeyType } from '../tables.js';

const KEYS = '/v1/crypto/keys';
const MESSAGE = 'what is signed, ż';
const BASE64 = Buffer.from(MESSAGE).toString('base64');
const SIGNING_TYPES = [
  'hmac-sha256',
  'hmac-sha512',
  'rsa-2048',
  'ecdsa-p256',
  'ecdsa-p384',
  'ed25519',
] as const satisfies readonly KeyType[];

let harness: Harness;

const call = (path: string, body: unknown, key: TestCall['key'] = harness.tenant.live) =>
  harness.call('POST', path, { key, body });
const get = (path: string) => harness.call('GET', path, { key: harness.tenant.live });
const create = async (name: string, keyType: KeyType, key = harness.tenant.live) => {
  const answer = await call(KEYS, { name, key_type: keyType }, key);
  expect(answer.status).toBe(201);
  return answer.json['data'];
};
const at = (name: string, operation: string) => `${KEYS}/${name}/${operation}`;
const dataOf = async (name: string, operation: string, body: unknown) => {
  const answer = await call(at(name, operation), body);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return answer.json['data'];
};
const refusal = async (name: string, operation: string, body: unknown) => {
  const { status, json } = await call(at(name, operation), body);
  return [status, json['error']?.type, ...Object.keys(json['fields'] ?? {})];
};
const rotate = (name: string) => call(at(name, 'rotate'), {});
const destroy = async (name: string, version: number) => {
  await harness.call('PATCH', `${KEYS}/${name}`, {
    key: harness.tenant.live,
    body: { deletion_allowed: true },
  });
  harness.clock.advance(1_000);
  const answer = await harness.call('DELETE', `${KEYS}/${name}/versions/${version}`, {
    key: harness.tenant.live,
  });
  expect(answer.status).toBe(200);
};
const audits = async (action: string) => (await get(`/v1/audit-logs?action=${action}`)).json['data'];

beforeAll(async () => {
  harness = await createHarness();
  for (const keyType of [...SIGNING_TYPES, 'aes256-gcm', 'ecdh-p256'] as const)
    await create(keyType, keyType);
});
afterAll(() => harness.close());

describe.each(SIGNING_TYPES)('a key of type %s', (keyType) => {
  it('signs text and bytes alike, and verifies both', async () => {
    const signed = await dataOf(keyType, 'sign', { data: MESSAGE });
    expect(signed).toEqual({
      signature: expect.stringMatching(/^knoxcall:v1:[A-Za-z0-9+/]+={0,2}$/),
      key_version: 1,
    });
    const { signature } = signed;
    const good = { valid: true, key_version: 1 };
    expect(await dataOf(keyType, 'verify', { data: MESSAGE, signature })).toEqual(good);
    expect(await dataOf(keyType, 'verify', { data_b64: BASE64, signature })).toEqual(good);
    const bare = signature.slice('knoxcall:v1:'.length);
    expect(await dataOf(keyType, 'verify', { data_b64: BASE64, signature: bare })).toEqual(good);
    const urlSafe = Buffer.from(bare, 'base64').toString('base64url');
    expect(await dataOf(keyType, 'verify', { data: MESSAGE, signature: `knoxcall:v1:${urlSafe}` })).toEqual(
      good,
    );
    expect(await dataOf(keyType, 'verify', { data: `${MESSAGE} `, signature })).toEqual({
      valid: false,
      key_version: 1,
    });
    const empty = await dataOf(keyType, 'sign', { data: '' });
    expect(await dataOf(keyType, 'verify', { data_b64: '', signature: empty.signature })).toEqual(good);
  });

  it('says of garbage that it is not valid', async () => {
    const { signature } = await dataOf(keyType, 'sign', { data: MESSAGE });
    const bare = signature.slice('knoxcall:v1:'.length);
    for (const [bad, version] of [
      ['', null],
      [' ', null],
      ['knoxcall:v1:', 1],
      ['knoxcall:v1:!', null],
      [`knoxcall:v0:${bare}`, null],
      [`knoxcall:v01:${bare}`, null],
      [`knoxcall:v1e1:${bare}`, null],
      [`knoxcall:v2:${bare}`, null],
      [`knoxcall:v999999999:${bare}`, null],
      [`knoxcall:v99999999999999999999:${bare}`, null],
      [`knoxcall:v-1:${bare}`, null],
      [`Knoxcall:v1:${bare}`, null],
      [` ${signature}`, null],
      [`${signature}\n`, null],
      [`${signature}AAAA`, null],
      [`knoxcall:v1:${bare.slice(4)}`, 1],
      [`knoxcall:v1:${'A'.repeat(400_000)}`, 1],
      [bare.slice(4), null],
      ['A'.repeat(400_000), null],
      ['ż'.repeat(100), null],
    ] as const) {
      const verified = await dataOf(keyType, 'verify', { data: MESSAGE, signature: bad });
      // What follows padding is no base64, else it is one more byte of a signature.
      expect(verified.valid).toBe(false);
      if (!bad.endsWith('AAAA')) expect([bad, verified.key_version]).toEqual([bad, version]);
    }
  });

  it('verifies by every version that is there, and signs with the newest', async () => {
    const name = `rotated-${keyType}`;
    await create(name, keyType);
    const first = await dataOf(name, 'sign', { data: MESSAGE });
    await rotate(name);
    const second = await dataOf(name, 'sign', { data: MESSAGE });
    expect([first.key_version, second.key_version]).toEqual([1, 2]);
    const bare = first.signature.slice('knoxcall:v1:'.length);
    const judge = (signature: string) => dataOf(name, 'verify', { data: MESSAGE, signature });
    expect(await judge(first.signature)).toEqual({ valid: true, key_version: 1 });
    expect(await judge(second.signature)).toEqual({ valid: true, key_version: 2 });
    expect(await judge(bare)).toEqual({ valid: true, key_version: 1 });
    expect(await judge(`knoxcall:v2:${bare}`)).toEqual({ valid: false, key_version: 2 });
    await destroy(name, 1);
    expect(await judge(first.signature)).toEqual({ valid: false, key_version: 1 });
    expect(await judge(bare)).toEqual({ valid: false, key_version: null });
    expect(await judge(second.signature)).toEqual({ valid: true, key_version: 2 });
  });
});

describe('sign', () => {
  it('is verified by whoever has the public key', async () => {
    for (const keyType of ['rsa-2048', 'ecdsa-p256', 'ecdsa-p384', 'ed25519']) {
      const { signature } = await dataOf(keyType, 'sign', {
        data: MESSAGE,
        ...(keyType === 'rsa-2048' && { rsa_padding: 'pkcs1v15' }),
      });
      const { pem } = (await get(at(keyType, 'public-key'))).json['data'];
      const hash = { 'rsa-2048': 'sha256', 'ecdsa-p256': 'sha256', 'ecdsa-p384': 'sha384' }[keyType];
      const bytes = Buffer.from(signature.split(':')[2]!, 'base64');
      expect([keyType, verify(hash, Buffer.from(MESSAGE), createPublicKey(pem), bytes)]).toEqual([
        keyType,
        true,
      ]);
    }
  });

  it('takes paddings and hashes of RSA, each good for itself alone', async () => {
    const options = ['pss', 'pkcs1v15'].flatMap((rsa_padding) =>
      ['sha256', 'sha384', 'sha512'].map((hash) => ({ rsa_padding, hash })),
    );
    for (const made of options) {
      const { signature } = await dataOf('rsa-2048', 'sign', { data: MESSAGE, ...made });
      const batch = options.map((asked) => ({ data: MESSAGE, signature, ...asked }));
      const verified = (await dataOf('rsa-2048', 'verify', { batch })).batch;
      expect(verified.map(({ valid }: { valid: boolean }) => valid)).toEqual(
        options.map((asked) => asked === made),
      );
    }
  });

  it.each([
    ['nothing to sign', 'hmac-sha256', {}, [400, 'validation_error', 'data', 'data_b64']],
    ['both', 'hmac-sha256', { data: 'a', data_b64: 'YQ==' }, [400, 'validation_error', 'data', 'data_b64']],
    ['no base64', 'hmac-sha256', { data_b64: 'a!' }, [400, 'validation_error', 'data_b64']],
    [
      'a padding of no RSA key',
      'ed25519',
      { data: 'a', rsa_padding: 'pss' },
      [400, 'validation_error', 'rsa_padding'],
    ],
    ['a hash of no RSA key', 'hmac-sha256', { data: 'a', hash: 'sha256' }, [400, 'validation_error', 'hash']],
    ['a hash of no RSA key', 'ecdsa-p384', { data: 'a', hash: 'sha384' }, [400, 'validation_error', 'hash']],
    ['an unknown hash', 'rsa-2048', { data: 'a', hash: 'sha1' }, [400, 'validation_error', 'hash']],
    [
      'an unknown padding',
      'rsa-2048',
      { data: 'a', rsa_padding: 'none' },
      [400, 'validation_error', 'rsa_padding'],
    ],
    [
      'a batch and more',
      'rsa-2048',
      { data: 'a', batch: [{ data: 'a' }] },
      [400, 'validation_error', 'data'],
    ],
    ['an empty batch', 'rsa-2048', { batch: [] }, [400, 'validation_error', 'batch']],
    [
      'a large batch',
      'rsa-2048',
      { batch: Array(101).fill({ data: 'a' }) },
      [400, 'validation_error', 'batch'],
    ],
    ['a cipher', 'aes256-gcm', { data: 'a' }, [400, 'validation_error', 'name']],
    ['an agreement', 'ecdh-p256', { data: 'a' }, [400, 'validation_error', 'name']],
    ['an unknown key', 'nobody', { data: 'a' }, [404, 'not_found']],
  ])('refuses %s of a key of type %s', async (_what, name, body, refused) => {
    expect(await refusal(name, 'sign', body)).toEqual(refused);
  });

  it('takes 8 MiB and not a byte more', async () => {
    const data_b64 = Buffer.alloc(8 * 1024 * 1024 + 1).toString('base64');
    expect(await refusal('hmac-sha256', 'sign', { data_b64 })).toEqual([413, 'payload_too_large']);
    const whole = { data_b64: Buffer.alloc(8 * 1024 * 1024).toString('base64') };
    const { signature } = await dataOf('hmac-sha256', 'sign', whole);
    expect((await dataOf('hmac-sha256', 'verify', { ...whole, signature })).valid).toBe(true);
  });

  it('answers each of a batch in its place', async () => {
    const { batch } = await dataOf('ecdsa-p256', 'sign', {
      batch: [{ data: 'a' }, {}, { data_b64: '!' }, { data: 'b', hash: 'sha256' }, { data: 'c' }],
    });
    expect(batch).toEqual([
      { signature: expect.any(String), key_version: 1 },
      { error: { type: 'validation_error', message: expect.stringContaining('data_b64') } },
      { error: { type: 'validation_error', message: 'data_b64: must be base64' } },
      { error: { type: 'validation_error', message: expect.stringMatching(/^hash: /) } },
      { signature: expect.any(String), key_version: 1 },
    ]);
    const verified = await dataOf('ecdsa-p256', 'verify', {
      batch: [
        { data: 'a', signature: batch[0].signature },
        { data: 'a', signature: batch[4].signature },
        { signature: batch[4].signature },
        { data: 'c', signature: batch[4].signature },
      ],
    });
    expect(verified.batch).toEqual([
      { valid: true, key_version: 1 },
      { valid: false, key_version: 1 },
      { error: { type: 'validation_error', message: expect.any(String) } },
      { valid: true, key_version: 1 },
    ]);
    const none = await dataOf('ecdsa-p256', 'sign', { batch: [{}, {}] });
    expect(none.batch.map(Object.keys)).toEqual([['error'], ['error']]);
  });

  it('leaves a row for each signature, and none for a refusal or a verification', async () => {
    await create('audited', 'ed25519');
    const { batch } = await dataOf('audited', 'sign', { batch: [{ data: 'one' }, {}, { data: 'two' }] });
    await refusal('audited', 'sign', {});
    await dataOf('audited', 'verify', { data: 'one', signature: batch[0].signature });
    const rows = (await audits('crypto.sign')).filter(
      ({ details }: { details: { key: string } }) => details.key === 'audited',
    );
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ resource_type: 'crypto_key', details: { version: 1, sandbox: false } });
    expect(JSON.stringify(rows)).not.toContain('knoxcall:v');
    expect(await audits('crypto.verify')).toEqual([]);
  });

  it('answers a repeated call with the same signature', async () => {
    const headers = { 'x-idempotency-key': 'sign-once' };
    const options = { key: harness.tenant.live, body: { data: MESSAGE }, headers };
    const first = await harness.call('POST', at('ecdsa-p256', 'sign'), options);
    const again = await harness.call('POST', at('ecdsa-p256', 'sign'), options);
    // ECDSA draws a number each time.
    expect(again.json['data']).toEqual(first.json['data']);
    expect(again.headers['x-idempotent-replay']).toBe('true');
  });
});

describe('who may', () => {
  it('wants crypto:sign and crypto:verify, each for its own', async () => {
    const keyOf = async (permission: string) => {
      const body = { name: permission, grants: [{ permission }] };
      return (await call('/v1/api-keys', body)).json['data'].api_key as string;
    };
    const [signer, verifier] = [await keyOf('crypto:sign'), await keyOf('crypto:verify')];
    const signed = { data: MESSAGE };
    const judged = { ...signed, signature: 'x' };
    const statusOf = async (operation: string, body: object, key: string) =>
      (await call(at('hmac-sha256', operation), body, key)).status;
    const bodies: [string, object][] = [
      ['sign', signed],
      ['jwt', { claims: {} }],
      ['webhook-sign', { payload: '' }],
      ['verify', judged],
      ['jwt/verify', { token: 'x' }],
    ];
    const statuses = async (key: string) =>
      Promise.all(bodies.map(([operation, body]) => statusOf(operation, body, key)));
    expect(await statuses(signer)).toEqual([200, 200, 200, 403, 403]);
    expect(await statuses(verifier)).toEqual([403, 403, 403, 200, 200]);
  });

  it('sees the keys of its mode and tenant, and of vaults none', async () => {
    const other = harness.other.live;
    for (const key of [harness.tenant.test, other])
      expect((await call(at('ed25519', 'sign'), { data: 'a' }, key)).status).toBe(404);
    const vault = (await call('/v1/vaults', { name: 'cards' })).json['data'];
    expect(await refusal(vault.crypto_key_id, 'sign', { data: 'a' })).toEqual([404, 'not_found']);
  });

  it('is the signed-in user too, without the envelope', async () => {
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const { json } = await harness.call('POST', '/admin/crypto/keys/ed25519/sign', {
      token,
      body: { data: 'a' },
    });
    expect(json).toEqual({ signature: expect.any(String), key_version: 1 });
  });
});

describe('webhook-sign', () => {
  const T = 1_700_000_000;
  /** What never leaves, to compute with it what a receiver would. */
  async function secretOf(name: string): Promise<Buffer> {
    const { scope } = harness.callerOf(harness.tenant, 'live').principal;
    const key = await harness.cryptoKeys.getNamed(scope, name);
    return harness.cryptoKeys.use(scope, key.id, key.currentVersion, (bytes) => Buffer.from(bytes));
  }
  const body = '{"id":"evt_1","ż":true}';
  const mac = (secret: Buffer, ...parts: string[]) => createHmac('sha256', secret).update(parts.join(''));

  it.each(['hmac-sha256', 'hmac-sha512'])('writes each format with a key of type %s', async (name) => {
    const secret = await secretOf(name);
    const sign = (format?: string) =>
      dataOf(name, 'webhook-sign', { payload: body, timestamp_seconds: T, ...(format && { format }) });
    const stripe = await sign();
    expect(stripe).toEqual({
      signature_header: `t=${T},v1=${mac(secret, `${T}.`, body).digest('hex')}`,
      timestamp_seconds: T,
      key_version: 1,
      format: 'stripe',
    });
    expect((await sign('slack')).signature_header).toBe(`v0=${mac(secret, `v0:${T}:`, body).digest('hex')}`);
    for (const format of ['legacy', 'github', 'custom'])
      expect((await sign(format)).signature_header).toBe(`sha256=${mac(secret, body).digest('hex')}`);
    expect((await sign('aws-sns')).signature_header).toBe(mac(secret, body).digest('base64'));
  });

  it('takes bytes, and the time of now', async () => {
    const secret = await secretOf('hmac-sha256');
    const bytes = Buffer.of(0, 0xff, 0x0a);
    const signed = await dataOf('hmac-sha256', 'webhook-sign', { payload_b64: bytes.toString('base64') });
    const now = Math.floor(harness.clock.nowMs() / 1_000);
    expect(signed.timestamp_seconds).toBe(now);
    const expected = createHmac('sha256', secret).update(`${now}.`).update(bytes).digest('hex');
    expect(signed.signature_header).toBe(`t=${now},v1=${expected}`);
    const [row] = await audits('crypto.webhook_sign');
    expect(row.details).toEqual({ key: 'hmac-sha256', version: 1, format: 'stripe', sandbox: false });
  });

  it('is verified by the key as well', async () => {
    const { signature_header } = await dataOf('hmac-sha256', 'webhook-sign', {
      payload: body,
      timestamp_seconds: T,
    });
    const hex = signature_header.split('v1=')[1]!;
    const signature = Buffer.from(hex, 'hex').toString('base64');
    expect(await dataOf('hmac-sha256', 'verify', { data: `${T}.${body}`, signature })).toEqual({
      valid: true,
      key_version: 1,
    });
  });

  it.each([
    ['a key that is no HMAC', 'ed25519', { payload: 'a' }, 'name'],
    ['an unknown format', 'hmac-sha256', { payload: 'a', format: 'twitter' }, 'format'],
    ['a time before all times', 'hmac-sha256', { payload: 'a', timestamp_seconds: -1 }, 'timestamp_seconds'],
    ['half a second', 'hmac-sha256', { payload: 'a', timestamp_seconds: 0.5 }, 'timestamp_seconds'],
    ['milliseconds', 'hmac-sha256', { payload: 'a', timestamp_seconds: 1e15 }, 'timestamp_seconds'],
    ['no base64', 'hmac-sha256', { payload_b64: 'a!' }, 'payload_b64'],
  ])('refuses %s', async (_what, name, sent, field) => {
    expect(await refusal(name, 'webhook-sign', sent)).toEqual([400, 'validation_error', field]);
  });
});

describe('a key that is being rotated', () => {
  it('never signs with a version that was retired before the call', async () => {
    await create('turning', 'ed25519');
    let retired = 0;
    const turn = async () => {
      const { json } = await rotate('turning');
      retired = Math.max(retired, json['data'].new_version - 1);
    };
    const sign = async () => {
      const before = retired;
      const { key_version } = await dataOf('turning', 'sign', { data: MESSAGE });
      return key_version > before;
    };
    const acts = Array.from({ length: 60 }, (_, n) => (n % 6 === 0 ? turn() : sign()));
    const later = Array.from({ length: 12 }, async () => {
      await turn();
      return Promise.all([sign(), turn(), sign()]);
    });
    const signed = (await Promise.all([...acts, ...later])).flat().filter((each) => each !== undefined);
    expect(signed).toHaveLength(50 + 24);
    expect(new Set(signed)).toEqual(new Set([true]));
  });
});

describe('a sealed tenant', () => {
  it('signs nothing, and has signatures verified for which a public key is enough', async () => {
    const { live, id: tenantId } = harness.other;
    for (const keyType of ['hmac-sha256', 'ecdsa-p256'] as const) await create(keyType, keyType, live);
    const signedBy = async (name: string) =>
      (await call(at(name, 'sign'), { data: MESSAGE }, live)).json['data'].signature;
    const [mac, signature] = [await signedBy('hmac-sha256'), await signedBy('ecdsa-p256')];
    await harness.db
      .view(kmsTables)
      .scoped({ tenantId })
      .updateTable('tenant_master_keys')
      .set({ status: 'revoked', wrapped: null })
      .execute();
    harness.clock.advance(LIMITS.tenantKeyCacheMs);
    const told = async (name: string, operation: string, body: object) => {
      const { status, json } = await call(at(name, operation), body, live);
      return json['error']?.type ?? [status, json['data']];
    };
    const sealed = 'tenant_sealed';
    expect(await told('ecdsa-p256', 'sign', { data: MESSAGE })).toBe(sealed);
    expect(await told('ecdsa-p256', 'sign', { batch: [{ data: MESSAGE }] })).toBe(sealed);
    expect(await told('ecdsa-p256', 'jwt', { claims: {} })).toBe(sealed);
    expect(await told('hmac-sha256', 'webhook-sign', { payload: '' })).toBe(sealed);
    expect(await told('hmac-sha256', 'verify', { data: MESSAGE, signature: mac })).toBe(sealed);
    const good = [200, { valid: true, key_version: 1 }];
    expect(await told('ecdsa-p256', 'verify', { data: MESSAGE, signature })).toEqual(good);
  });
});
