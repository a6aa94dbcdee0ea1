import { createCipheriv, createDecipheriv, randomBytes, webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../testing/harness.js';

const MiB = 1024 * 1024;
const CANARY = 'canary-7d1f-plaintext';

let harness: Harness;
let userToken: string;
beforeAll(async () => {
  harness = await createHarness();
  userToken = await harness.signIn(harness.tenant.ownerEmail);
  await call('POST', '/v1/crypto/keys', { name: 'pii' });
  await call('POST', '/v1/crypto/keys', { name: 'rsa', key_type: 'rsa-2048' });
  await call('POST', '/v1/crypto/keys', { name: 'mac', key_type: 'hmac-sha256' });
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
const on = (name: string, act: string, body: object, key = harness.tenant.live) =>
  call('POST', `/v1/crypto/keys/${name}/${act}`, body, key);
const encrypt = async (name: string, body: object) =>
  (await on(name, 'encrypt', body)).json['data'] as { ciphertext: string; key_version: number };
const decrypt = async (name: string, ciphertext: string) =>
  (await on(name, 'decrypt', { ciphertext })).json['data'];
const refusal = async (answer: ReturnType<typeof call>) => {
  const { status, json } = await answer;
  return [status, json['error']?.type, Object.keys(json['fields'] ?? {})];
};
const REFUSED = [400, 'decryption_failed', []];
const audited = async (action: string) =>
  (await call('GET', `/v1/audit-logs?action=${action}&per_page=100`)).json['data'];
const bytesOf = (ciphertext: string) => Buffer.from(ciphertext.split(':')[2]!, 'base64');
const textOf = (bytes: Buffer, version = 1) => `knoxcall:v${version}:${bytes.toString('base64')}`;

/** The bytes of a version of a key, by the way that only a test has. */
async function secretOf(name: string, version = 1): Promise<Buffer> {
  const { scope } = harness.callerOf(harness.tenant, 'live').principal;
  const key = await harness.cryptoKeys.getNamed(scope, name);
  return harness.cryptoKeys.use(scope, key.id, version, (bytes) => Buffer.from(bytes));
}

describe('encrypt and decrypt with an AES key', () => {
  it.each([
    ['text', { plaintext: CANARY }, Buffer.from(CANARY)],
    ['empty text', { plaintext: '' }, Buffer.alloc(0)],
    ['no bytes', { plaintext_b64: '' }, Buffer.alloc(0)],
    ['text beyond ASCII', { plaintext: 'żółw 🐢' }, Buffer.from('żółw 🐢')],
    ['bytes', { plaintext_b64: '//79AA==' }, Buffer.from([0xff, 0xfe, 0xfd, 0])],
    ['URL-safe bytes', { plaintext_b64: '__79AA' }, Buffer.from([0xff, 0xfe, 0xfd, 0])],
  ])('gives back %s', async (_what, body, bytes) => {
    const answer = await on('pii', 'encrypt', body);
    expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
    const { ciphertext, key_version } = answer.json['data'];
    expect(Object.keys(answer.json['data'])).toEqual(['ciphertext', 'key_version']);
    expect(ciphertext).toMatch(/^knoxcall:v1:[A-Za-z0-9+/]+={0,2}$/);
    expect([key_version, bytesOf(ciphertext).length]).toEqual([1, 28 + bytes.length]);
    const opened = await on('pii', 'decrypt', { ciphertext });
    expect(opened.headers['cache-control']).toBe('no-store');
    expect(opened.json['data']).toEqual({ plaintext_b64: bytes.toString('base64'), key_version: 1 });
  });

  it('gives another ciphertext each time', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => encrypt('pii', { plaintext: CANARY })));
    expect(new Set(made.map(({ ciphertext }) => ciphertext)).size).toBe(20);
    expect(new Set(made.map(({ ciphertext }) => bytesOf(ciphertext).toString('hex', 0, 12))).size).toBe(20);
  });

  it('takes plaintexts of 64 KiB, 4 MiB and 8 MiB, and not a byte more', async () => {
    for (const size of [64 * 1024, 4 * MiB, 8 * MiB]) {
      const plaintext_b64 = randomBytes(size).toString('base64');
      const { ciphertext } = await encrypt('pii', { plaintext_b64 });
      expect((await decrypt('pii', ciphertext)).plaintext_b64 === plaintext_b64, `${size} bytes`).toBe(true);
    }
    const text = 'x'.repeat(8 * MiB);
    expect((await on('pii', 'encrypt', { plaintext: text })).status).toBe(200);
    const tooLarge = [413, 'payload_too_large', []];
    expect(await refusal(on('pii', 'encrypt', { plaintext: `${text}x` }))).toEqual(tooLarge);
    const bytes = Buffer.alloc(8 * MiB + 1).toString('base64');
    expect(await refusal(on('pii', 'encrypt', { plaintext_b64: bytes }))).toEqual(tooLarge);
    // Two bytes a character.
    expect(await refusal(on('pii', 'encrypt', { plaintext: 'ż'.repeat(4 * MiB + 1) }))).toEqual(tooLarge);
    expect(await refusal(on('pii', 'encrypt', { plaintext: text.repeat(2) }))).toEqual(tooLarge);
  });

  it('answers text with format=utf8, and users both forms', async () => {
    const asked = (ciphertext: string, query = '') =>
      call('POST', `/v1/crypto/keys/pii/decrypt${query}`, { ciphertext });
    const asUser = async (ciphertext: string) =>
      (
        await harness.call('POST', '/admin/crypto/keys/pii/decrypt', {
          token: userToken,
          body: { ciphertext },
        })
      ).json;
    const { ciphertext } = await encrypt('pii', { plaintext: '\ufeffżółw' });
    const plaintext_b64 = Buffer.from('\ufeffżółw').toString('base64');
    const both = { plaintext: '\ufeffżółw', plaintext_b64, key_version: 1 };
    expect((await asked(ciphertext, '?format=utf8')).json['data']).toEqual(both);
    expect(await asUser(ciphertext)).toEqual(both);

    const binary = (await encrypt('pii', { plaintext_b64: '/w==' })).ciphertext;
    expect(await refusal(asked(binary, '?format=utf8'))).toEqual([400, 'validation_error', ['format']]);
    expect(await asUser(binary)).toEqual({ plaintext: null, plaintext_b64: '/w==', key_version: 1 });
    expect(await refusal(asked(binary, '?format=hex'))).toEqual([400, 'validation_error', ['format']]);
  });

  it.each([
    ['neither form', {}, ['plaintext', 'plaintext_b64']],
    ['both forms', { plaintext: 'a', plaintext_b64: 'YQ==' }, ['plaintext', 'plaintext_b64']],
    ['a number', { plaintext: 7 }, ['plaintext']],
    ['null', { plaintext: null }, ['plaintext']],
    ['what is no base64', { plaintext_b64: 'not base64!' }, ['plaintext_b64']],
    ['half a byte', { plaintext_b64: 'A' }, ['plaintext_b64']],
    ['bits that stand for nothing', { plaintext_b64: 'AB==' }, ['plaintext_b64']],
    ['a field of another product', { plaintext: 'a', context: 'c' }, ['context']],
    ['a lone surrogate', { plaintext: '\ud800' }, ['plaintext']],
  ])('refuses %s', async (_what, body, fields) => {
    expect(await refusal(on('pii', 'encrypt', body))).toEqual([400, 'validation_error', fields]);
  });

  it('has iv, tag and ciphertext in that order, by another implementation', async () => {
    const { subtle } = webcrypto;
    const raw = await secretOf('pii');
    const key = await subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
    const made = bytesOf((await encrypt('pii', { plaintext: CANARY })).ciphertext);
    const [iv, tag, body] = [made.subarray(0, 12), made.subarray(12, 28), made.subarray(28)];
    const opened = await subtle.decrypt({ name: 'AES-GCM', iv }, key, Buffer.concat([body, tag]));
    expect(Buffer.from(opened).toString()).toBe(CANARY);

    const ownIv = randomBytes(12);
    const sealed = Buffer.from(
      await subtle.encrypt({ name: 'AES-GCM', iv: ownIv }, key, Buffer.from('from elsewhere')),
    );
    const brought = Buffer.concat([ownIv, sealed.subarray(-16), sealed.subarray(0, -16)]);
    for (const prefix of ['knoxcall', 'vault']) {
      const data = await decrypt('pii', `${prefix}:v1:${brought.toString('base64')}`);
      expect(Buffer.from(data.plaintext_b64, 'base64').toString()).toBe('from elsewhere');
    }
    expect((await decrypt('pii', `knoxcall:v1:${brought.toString('base64url')}`)).key_version).toBe(1);
    const node = createDecipheriv('aes-256-gcm', raw, iv).setAuthTag(tag);
    expect(Buffer.concat([node.update(body), node.final()]).toString()).toBe(CANARY);
  });
});

describe('what does not decrypt', () => {
  /** The edge cases of Wycheproof's AES-GCM vectors: tags, ivs and lengths. */
  it('is refused with one text, whatever is wrong', async () => {
    const made = bytesOf((await encrypt('pii', { plaintext: CANARY })).ciphertext);
    const flipped = (at: number, bit = 1) => {
      const bytes = Buffer.from(made);
      bytes[at]! ^= bit;
      return textOf(bytes);
    };
    const raw = await secretOf('pii');
    const withTag = (tagBytes: number) => {
      const iv = Buffer.alloc(12, 7);
      const cipher = createCipheriv('aes-256-gcm', raw, iv, { authTagLength: tagBytes });
      const body = Buffer.concat([cipher.update(CANARY), cipher.final()]);
      return textOf(Buffer.concat([iv, cipher.getAuthTag(), body]));
    };
    const withAad = () => {
      const iv = Buffer.alloc(12, 8);
      const cipher = createCipheriv('aes-256-gcm', raw, iv).setAAD(Buffer.from('aad'));
      const body = Buffer.concat([cipher.update(CANARY), cipher.final()]);
      return textOf(Buffer.concat([iv, cipher.getAuthTag(), body]));
    };
    const broken: Record<string, string> = {
      'no text': '',
      'no version': made.toString('base64'),
      'no bytes': 'knoxcall:v1:',
      'a short iv': textOf(made.subarray(0, 11)),
      'an iv alone': textOf(made.subarray(0, 12)),
      'a truncated tag': textOf(made.subarray(0, 27)),
      'a tag of 12 bytes': withTag(12),
      'a tag of 4 bytes': withTag(4),
      'an authenticated header that we have not': withAad(),
      'no ciphertext': textOf(made.subarray(0, 28)),
      'a byte less': textOf(made.subarray(0, -1)),
      'a byte more': textOf(Buffer.concat([made, Buffer.of(0)])),
      'a tag of zeros': textOf(Buffer.concat([made.subarray(0, 12), Buffer.alloc(16), made.subarray(28)])),
      'the tag behind': textOf(
        Buffer.concat([made.subarray(0, 12), made.subarray(28), made.subarray(12, 28)]),
      ),
      'a bit of the iv': flipped(0),
      'the last bit of the iv': flipped(11, 0x80),
      'a bit of the tag': flipped(12),
      'the last bit of the tag': flipped(27, 0x80),
      'a bit of the ciphertext': flipped(28),
      'the last bit of the ciphertext': flipped(made.length - 1, 0x80),
      'an unknown version': textOf(made, 2),
      'version 0': textOf(made, 0),
      'a huge version': `knoxcall:v99999999999999999999:${made.toString('base64')}`,
      'another scheme': `other:v1:${made.toString('base64')}`,
      'no base64': `knoxcall:v1:${'?'.repeat(60)}`,
      'a portable text': 'kc:1:s:AAAA:AAAA:AAAA:AAAA:$',
    };
    const texts = new Set<string>();
    for (const [what, ciphertext] of Object.entries(broken)) {
      const answer = await on('pii', 'decrypt', { ciphertext });
      expect([answer.status, answer.json['error'].type], what).toEqual([400, 'decryption_failed']);
      texts.add(answer.json['error'].message);
      expect((await on('pii', 'rewrap', { ciphertext })).status, what).toBe(400);
    }
    expect(texts.size).toBe(1);
  });

  it('is that of another key, version, mode and tenant of the same names', async () => {
    await call('POST', '/v1/crypto/keys', { name: 'twin' });
    const { ciphertext } = await encrypt('twin', { plaintext: CANARY });
    await on('twin', 'rotate', {});
    expect((await encrypt('twin', { plaintext: CANARY })).key_version).toBe(2);
    expect(await refusal(on('twin', 'decrypt', { ciphertext: ciphertext.replace('v1', 'v2') }))).toEqual(
      REFUSED,
    );
    expect(await refusal(on('pii', 'decrypt', { ciphertext }))).toEqual(REFUSED);
    for (const key of [harness.tenant.test, harness.other.live]) {
      expect(await refusal(on('twin', 'decrypt', { ciphertext }, key))).toEqual([404, 'not_found', []]);
      await call('POST', '/v1/crypto/keys', { name: 'twin' }, key);
      expect(await refusal(on('twin', 'decrypt', { ciphertext }, key))).toEqual(REFUSED);
    }
    expect((await decrypt('twin', ciphertext)).key_version).toBe(1);
  });

  it('is what a destroyed version has encrypted: 410, and again 410', async () => {
    await call('POST', '/v1/crypto/keys', { name: 'gone' });
    const { ciphertext } = await encrypt('gone', { plaintext: CANARY });
    const destroy = (version: number) => call('DELETE', `/v1/crypto/keys/gone/versions/${version}`);
    await on('gone', 'rotate', {});
    await harness.advance(1_000);
    expect(await refusal(destroy(1))).toEqual([409, 'deletion_not_allowed', []]);
    expect((await decrypt('gone', ciphertext)).key_version).toBe(1);
    await call('PATCH', '/v1/crypto/keys/gone', { deletion_allowed: true });
    expect(await refusal(destroy(2))).toEqual([409, 'version_active', []]);
    for (let time = 0; time < 2; time++) expect((await destroy(1)).json['data']).toEqual({ destroyed: 1 });
    for (const act of ['decrypt', 'rewrap'])
      expect(await refusal(on('gone', act, { ciphertext }))).toEqual([410, 'key_version_destroyed', []]);
    // What was forged with its number is no more told apart than any other.
    expect(await refusal(on('gone', 'decrypt', { ciphertext: textOf(Buffer.alloc(40)) }))).toEqual([
      410,
      'key_version_destroyed',
      [],
    ]);
    expect(await refusal(destroy(3))).toEqual([404, 'not_found', []]);
  });

  it('is what a key cannot do, or is not there', async () => {
    for (const act of ['encrypt', 'decrypt', 'rewrap']) {
      const body = act === 'encrypt' ? { plaintext: '' } : { ciphertext: 'knoxcall:v1:AAAA' };
      expect(await refusal(on('mac', act, body)), act).toEqual([400, 'validation_error', ['name']]);
      expect(await refusal(on('none', act, body)), act).toEqual([404, 'not_found', []]);
    }
    expect(await refusal(on('pii', 'decrypt', {}))).toEqual([400, 'validation_error', ['ciphertext']]);
    expect(await refusal(on('pii', 'decrypt', { ciphertext: 1 }))).toEqual([
      400,
      'validation_error',
      ['ciphertext'],
    ]);
  });
});

describe('rewrap', () => {
  it('brings a ciphertext under the active version and shows nothing', async () => {
    await call('POST', '/v1/crypto/keys', { name: 'wrapped' });
    const { ciphertext } = await encrypt('wrapped', { plaintext: CANARY });
    await on('wrapped', 'rotate', {});
    const answer = await on('wrapped', 'rewrap', { ciphertext });
    expect(answer.text).not.toContain(CANARY);
    const moved = answer.json['data'];
    expect(Object.keys(moved)).toEqual(['ciphertext', 'key_version']);
    expect(moved).toMatchObject({ key_version: 2, ciphertext: expect.stringMatching(/^knoxcall:v2:/) });
    expect(Buffer.from((await decrypt('wrapped', moved.ciphertext)).plaintext_b64, 'base64').toString()).toBe(
      CANARY,
    );
    const again = (await on('wrapped', 'rewrap', { ciphertext: moved.ciphertext })).json['data'];
    expect(again.ciphertext).not.toBe(moved.ciphertext);
    const rows = await audited('crypto.rewrap');
    expect(rows.slice(0, 2).map(({ details }: { details: object }) => details)).toEqual([
      { key: 'wrapped', from_version: 2, version: 2, sandbox: false },
      { key: 'wrapped', from_version: 1, version: 2, sandbox: false },
    ]);
  });
});

describe('a batch', () => {
  it('answers each in its place, and audits those that were done', async () => {
    const items = [
      { plaintext: 'a' },
      {},
      { plaintext_b64: '?' },
      { plaintext: '' },
      { plaintext: 'a', plaintext_b64: 'YQ==' },
    ];
    const before = (await audited('crypto.encrypt')).length;
    const { status, json } = await on('pii', 'encrypt', { batch: items });
    const { batch } = json['data'];
    expect([status, Object.keys(json['data'])]).toEqual([200, ['batch']]);
    expect(batch.map((one: object) => Object.keys(one))).toEqual([
      ['ciphertext', 'key_version'],
      ['error'],
      ['error'],
      ['ciphertext', 'key_version'],
      ['error'],
    ]);
    expect(batch[2]).toEqual({
      error: { type: 'validation_error', message: 'plaintext_b64: must be base64' },
    });
    expect((await audited('crypto.encrypt')).length).toBe(before + 2);

    const ciphertexts = [batch[3].ciphertext, 'garbage', batch[0].ciphertext];
    const opened = await call('POST', '/v1/crypto/keys/pii/decrypt?format=utf8', {
      batch: ciphertexts.map((ciphertext) => ({ ciphertext })),
    });
    expect(opened.json['data'].batch).toEqual([
      { plaintext_b64: '', plaintext: '', key_version: 1 },
      { error: { type: 'decryption_failed', message: expect.any(String) } },
      { plaintext_b64: 'YQ==', plaintext: 'a', key_version: 1 },
    ]);
  });

  it('takes 100, of several versions, and tells of a destroyed one', async () => {
    await call('POST', '/v1/crypto/keys', { name: 'many' });
    const batch = Array.from({ length: 50 }, (_, n) => ({ plaintext: `value ${n}` }));
    const old = (await on('many', 'encrypt', { batch })).json['data'].batch;
    await on('many', 'rotate', {});
    const now = (await on('many', 'encrypt', { batch })).json['data'].batch;
    const all = [...old, ...now].map(({ ciphertext }) => ({ ciphertext }));
    const read = async () =>
      (await call('POST', '/v1/crypto/keys/many/decrypt?format=utf8', { batch: all })).json['data'].batch;
    const texts = batch.map(({ plaintext }) => plaintext);
    const opened = await read();
    expect(opened.map((one: { plaintext: string }) => one.plaintext)).toEqual([...texts, ...texts]);
    expect(opened.map((one: { key_version: number }) => one.key_version)).toEqual([
      ...texts.map(() => 1),
      ...texts.map(() => 2),
    ]);
    await call('PATCH', '/v1/crypto/keys/many', { deletion_allowed: true });
    await harness.advance(1_000);
    await call('DELETE', '/v1/crypto/keys/many/versions/1');
    const left = await read();
    expect(left[0]).toEqual({ error: { type: 'key_version_destroyed', message: expect.any(String) } });
    expect(left[99]).toMatchObject({ plaintext: 'value 49' });
  });

  it.each([
    ['nothing', { batch: [] }, ['batch']],
    ['more than 100', { batch: Array.from({ length: 101 }, () => ({ plaintext: '' })) }, ['batch']],
    ['no list', { batch: {} }, ['batch']],
    ['what is no item', { batch: [{ plaintext: '' }, 'x'] }, ['batch[1]']],
    ['what is of another type', { batch: [{ plaintext: 1 }] }, ['batch[0].plaintext']],
    ['what is not known', { batch: [{ plaintext: '', tag: 1 }] }, ['batch[0].tag']],
    ['one beside it', { batch: [{ plaintext: '' }], plaintext: '' }, ['plaintext']],
    ['a batch in it', { batch: [{ batch: [] }] }, ['batch[0].batch']],
  ])('is refused as a whole for %s', async (_what, body, fields) => {
    expect(await refusal(on('pii', 'encrypt', body))).toEqual([400, 'validation_error', fields]);
  });
});

describe('an RSA key', () => {
  it('encrypts up to the bound of its modulus, 190 bytes', async () => {
    const bytes = randomBytes(190);
    const { ciphertext, key_version } = await encrypt('rsa', { plaintext_b64: bytes.toString('base64') });
    expect([key_version, bytesOf(ciphertext).length]).toEqual([1, 256]);
    expect((await decrypt('rsa', ciphertext)).plaintext_b64).toBe(bytes.toString('base64'));
    const more = await on('rsa', 'encrypt', { plaintext: 'x'.repeat(191) });
    expect(more.status).toBe(400);
    expect(more.json['fields']).toEqual({
      plaintext: ['must have at most 190 bytes under a key of type rsa-2048'],
    });
    const empty = (await encrypt('rsa', { plaintext: '' })).ciphertext;
    expect((await decrypt('rsa', empty)).plaintext_b64).toBe('');
  });

  it('refuses what it has not encrypted, rewraps, and does both in batches', async () => {
    const made = bytesOf((await encrypt('rsa', { plaintext: 'a' })).ciphertext);
    const changed = Buffer.from(made);
    changed[100]! ^= 1;
    for (const bytes of [
      changed,
      made.subarray(1),
      Buffer.alloc(256),
      Buffer.alloc(256, 255),
      Buffer.alloc(0),
      Buffer.concat([made, made]),
    ])
      expect(await refusal(on('rsa', 'decrypt', { ciphertext: textOf(bytes) }))).toEqual(REFUSED);
    await on('rsa', 'rotate', {});
    const moved = (await on('rsa', 'rewrap', { ciphertext: textOf(made) })).json['data'];
    expect(moved.key_version).toBe(2);
    const batch = [{ plaintext: 'b' }, { plaintext: 'x'.repeat(191) }];
    const [sealed, refused] = (await on('rsa', 'encrypt', { batch })).json['data'].batch;
    expect(refused.error.type).toBe('validation_error');
    const opened = await on('rsa', 'decrypt', {
      batch: [moved, sealed].map(({ ciphertext }) => ({ ciphertext })),
    });
    expect(opened.json['data'].batch.map((one: { plaintext_b64: string }) => one.plaintext_b64)).toEqual([
      'YQ==',
      'Yg==',
    ]);
  });
});

describe('the audit log', () => {
  it('has key and version of each act, and no plaintext anywhere', async () => {
    const { ciphertext } = await encrypt('pii', { plaintext: CANARY });
    await decrypt('pii', ciphertext);
    for (const action of ['crypto.encrypt', 'crypto.decrypt'])
      expect((await audited(action))[0]).toMatchObject({
        action,
        resource_type: 'crypto_key',
        details: { key: 'pii', version: 1, sandbox: false },
      });
    const everything = JSON.stringify(await audited('crypto')) + harness.logLines.join('');
    expect(everything).not.toContain(CANARY);
    expect(everything).not.toContain(Buffer.from(CANARY).toString('base64').slice(0, 20));
  });
});

describe('what tenants do with RSA keys at once', () => {
  const live = (tenant: Harness['tenant']) => harness.callerOf(tenant, 'live');
  let ciphertext: string;
  let ofOther: string;
  beforeAll(async () => {
    const { other } = harness;
    await call('POST', '/v1/crypto/keys', { name: 'rsa', key_type: 'rsa-2048' }, other.live);
    ({ ciphertext } = await encrypt('rsa', { plaintext: CANARY }));
    ofOther = (await on('rsa', 'encrypt', { plaintext: CANARY }, other.live)).json['data'].ciphertext;
  });

  const decryptAs = (tenant: Harness['tenant']) =>
    harness.transit.decrypt(live(tenant), 'rsa', tenant === harness.other ? ofOther : ciphertext, 'no');
  const signAs = (tenant: Harness['tenant']) =>
    harness.signatures.sign(live(tenant), 'rsa', { read: () => Buffer.from(CANARY), options: {} });

  it.each([
    ['decryptions', decryptAs],
    ['signatures', signAs],
  ])('%s of one hold up none of another', async (_what, act) => {
    await Promise.all([act(harness.tenant), act(harness.other)]);
    const CROWD = 400;
    let done = 0;
    const crowd = Array.from({ length: CROWD }, async () => {
      await act(harness.tenant);
      done++;
    });
    await act(harness.other);
    expect(done).toBeLessThan(CROWD / 2);
    await Promise.all(crowd);
    expect(done).toBe(CROWD);
  });
});
