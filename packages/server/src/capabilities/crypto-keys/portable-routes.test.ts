import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import type { TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { sealByWebCrypto } from '../../testing/sealing-by-webcrypto.js';
import { kmsTables } from '../kms/index.js';
import { parsePortable } from './portable-format.js';

const KC = /^kc:1:[snb]:[^"]+:\$$/;
const utf8 = new TextEncoder();

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const post = (path: string, payload: string, call: TestCall = {}) =>
  harness.call('POST', path, { key: harness.tenant.live, payload, ...call });
/** The data as it is written, so that numbers are what the test says. */
const encrypt = async (data: string, more = '', call: TestCall = {}) => {
  const { status, text, json } = await post('/v1/encrypt', `{"data":${data}${more}}`, call);
  expect([status, text]).toEqual([200, text]);
  return { text, ...json['data'] };
};
const memberOf = (text: string, name: string) =>
  new RegExp(`^\\{"data":\\{"${name}":(.*?)(,"key":"[^"]*","key_version":\\d+)?\\},"meta":`, 's').exec(
    text,
  )?.[1];
const decrypted = async (data: string, more = '', call: TestCall = {}) => {
  const { status, text } = await post('/v1/decrypt', `{"data":${data}${more}}`, call);
  expect([status, text]).toEqual([200, text]);
  return memberOf(text, 'plaintext');
};
const sealed = async (data: string, more = '') => memberOf((await encrypt(data, more)).text, 'ciphertext')!;
const refused = async (path: string, payload: string, call: TestCall = {}) => {
  const { status, json } = await post(path, payload, call);
  return [status, json['error']?.['type'], ...Object.keys(json['fields'] ?? {})];
};
const FAILED = [400, 'decryption_failed'];
const bundle = async (query = '', call: TestCall = {}) =>
  (await harness.call('GET', `/v1/encrypt/sealing-bundle${query}`, { key: harness.tenant.live, ...call }))
    .json['data'];
const entries = async (action: string) =>
  (await harness.call('GET', `/v1/audit-logs?action=${action}&per_page=100`, { key: harness.tenant.live }))
    .json['data'];
const scope = () => harness.callerOf(harness.tenant, 'live').principal.scope;
const createKey = async (name: string, keyType: 'ecdh-p256' | 'aes256-gcm' = 'ecdh-p256') => {
  const prepared = await harness.cryptoKeys.prepare(scope(), keyType, name);
  await harness.db.transaction((tx) => harness.cryptoKeys.createFor(tx, prepared));
  return prepared.id;
};
const rotate = async (id: Parameters<Harness['cryptoKeys']['prepareVersion']>[1]) => {
  const prepared = await harness.cryptoKeys.prepareVersion(scope(), id);
  await harness.db.transaction((tx) => harness.cryptoKeys.addVersion(tx, prepared));
};

describe('a document', () => {
  it('keeps its shape: null, names, order and spacing stay, every other value is sealed', async () => {
    const data = '{ "b":[1, [true ,null, {"a":"x"}]], "2":0, "1":"", "b":{} ,"__proto__":[] }';
    const answer = memberOf((await encrypt(data)).text, 'ciphertext')!;
    const shape = answer.replace(/"kc:1:([snb]):[^"]+"/g, '<$1>');
    expect(shape).toBe('{ "b":[<n>, [<b> ,null, {"a":<s>}]], "2":<n>, "1":<s>, "b":{} ,"__proto__":[] }');
    expect(await decrypted(answer)).toBe(data);
  });

  it.each([
    ...['1e400', '0.1', '12345678901234567890', '-0', '1E+2', '1.0', '0.10', '-1.5e-300'],
    ...['true', 'false', 'null', '""', '"ż💳"', '"\\u0000\\n\\"\\/"', '[]', '{}', '[[[]]]'],
  ])('comes back as it was: %s', async (data) => {
    const expected = data.startsWith('"') ? JSON.stringify(JSON.parse(data)) : data;
    expect(await decrypted(await sealed(data))).toBe(expected);
    expect(await decrypted(await sealed(`{"a":[${data}]}`))).toBe(`{"a":[${expected}]}`);
  });

  it('names its key and version, and seals each value anew', async () => {
    const first = await encrypt('["x","x"]');
    expect(first).toMatchObject({ key: 'kc-default', key_version: 1 });
    const [one, other] = first.ciphertext;
    expect(one).toMatch(KC);
    expect(one).not.toBe(other);
  });

  it('leaves alone what is sealed already, under whatever role', async () => {
    const once = await sealed('{"a":"x","b":1}', ',"role":"pii"');
    expect(await sealed(once)).toBe(once);
    const more = await sealed(`{"c":${once},"d":2}`, ',"role":"other"');
    expect(more.startsWith(`{"c":${once},"d":"kc:1:n:`)).toBe(true);
    expect(await decrypted(once, ',"role":"pii"')).toBe('{"a":"x","b":1}');
  });

  it('seals as a text what only looks sealed: it comes back, and breaks nothing', async () => {
    const own = (await encrypt('"x"')).ciphertext as string;
    const other = (await encrypt('"x"', '', { key: harness.other.live })).ciphertext as string;
    const test = (await encrypt('"x"', '', { key: harness.tenant.test })).ciphertext as string;
    const { version: _, ...ref } = parsePortable(own)!.keyRef;
    const named = (text: string) => Buffer.from(text).toString('base64url');
    const unmade = own.replace(/^(kc:1:s:)[^:]+/, `$1${named(`${ref.tenantId}:${ref.keyId}:7`)}`);
    for (const text of [other, test, unmade, `${own} `, `x${own}`, own.slice(0, -1)]) {
      const again = (await encrypt(JSON.stringify(text))).ciphertext as string;
      expect(again).toMatch(KC);
      expect(await decrypted(JSON.stringify(again))).toBe(JSON.stringify(text));
    }
  });

  it('is opened where a text is a ciphertext as a whole, and passes through where it is not', async () => {
    const own = (await encrypt('"x"')).ciphertext as string;
    const escaped = `"\\u006b${own.slice(1)}"`;
    expect(await decrypted(escaped)).toBe('"x"');
    const passing = `["plain", 1e400, ${JSON.stringify(` ${own}`)}, ${JSON.stringify(`${own}x`)}, "kc:1:", {"${own}": null}]`;
    expect(await decrypted(passing)).toBe(passing);
  });

  it('takes 2,000 values and 64 levels, and no more', async () => {
    const many = (count: number) => `[${Array(count).fill('1').join()}]`;
    const document = await sealed(many(2_000));
    expect(await decrypted(document)).toBe(many(2_000));
    expect(await refused('/v1/encrypt', `{"data":${many(2_001)}}`)).toEqual([
      400,
      'validation_error',
      'data',
    ]);
    const value = (JSON.parse(document) as string[])[0];
    const one = `[${Array(2_001).fill(JSON.stringify(value)).join()}]`;
    expect(await refused('/v1/decrypt', `{"data":${one}}`)).toEqual([400, 'validation_error', 'data']);
    const deep = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`;
    expect(await decrypted(await sealed(deep(63)))).toBe(deep(63));
    expect(await refused('/v1/encrypt', `{"data":${deep(64)}}`)).toEqual([400, 'validation_error', 'body']);
  });

  it('takes values of 8 MiB together', async () => {
    const text = (bytes: number) => `"${'y'.repeat(bytes)}"`;
    const whole = await sealed(text(8 * 1024 * 1024));
    expect((await decrypted(whole))!.length).toBe(8 * 1024 * 1024 + 2);
    const more = `{"data":[${text(8 * 1024 * 1024)},1]}`;
    expect(await refused('/v1/encrypt', more)).toEqual([400, 'validation_error', 'data']);
  });

  it.each([
    ['a lone surrogate', '{"data":"\\ud800"}', 'data'],
    ['no data', '{"role":"x"}', 'data'],
    ['data twice', '{"data":1,"data":2}', 'data'],
    ['broken JSON', '{"data":[1,}', 'body'],
    ['a role that is none', '{"data":1,"role":5}', 'role'],
    ['a member that is unknown', '{"data":1,"keys":"x"}', 'keys'],
  ])('is refused with %s', async (_what, payload, field) => {
    expect(await refused('/v1/encrypt', payload)).toEqual([400, 'validation_error', field]);
  });
});

describe('keys', () => {
  it('are those of a name and of this type: others are unknown, or refused', async () => {
    await createKey('orders');
    await createKey('blob', 'aes256-gcm');
    const vault = await harness.call('POST', '/v1/vaults', {
      key: harness.tenant.live,
      body: { name: 'dual', custody_mode: 'dual' },
    });
    const vaultKey = vault.json['data']['crypto_key_id'];
    expect(await encrypt('1', ',"key":"orders"')).toMatchObject({ key: 'orders', key_version: 1 });
    const asked = (key: string) => refused('/v1/encrypt', `{"data":1,"key":"${key}"}`);
    expect(await asked('blob')).toEqual([400, 'validation_error', 'key']);
    for (const key of ['nothing', vaultKey]) expect(await asked(key)).toEqual([404, 'not_found']);
    for (const key of ['blob', 'nothing', vaultKey]) {
      const path = `/v1/encrypt/sealing-bundle?key=${key}`;
      const { status } = await harness.call('GET', path, { key: harness.tenant.live });
      expect([key, status]).toEqual([key, key === 'blob' ? 400 : 404]);
    }
  });

  it('of a vault open nothing here, though their tokens are of the same form', async () => {
    await harness.call('POST', '/v1/vaults', {
      key: harness.tenant.live,
      body: { name: 'held', custody_mode: 'dual' },
    });
    const made = await harness.call('POST', '/v1/vaults/held/tokens', {
      key: harness.tenant.live,
      body: { value: 'canary' },
    });
    expect(await refused('/v1/decrypt', `{"data":"${made.json['data'].token}"}`)).toEqual(FAILED);
  });

  it('of a first use at once are one, in each mode', async () => {
    const own = await createHarness();
    const first = () => own.call('GET', '/v1/encrypt/sealing-bundle', { key: own.tenant.test });
    const bundles = await Promise.all([first(), first(), first(), first(), first()]);
    expect(new Set(bundles.map(({ text }) => JSON.parse(text).data.key_ref.app_key_id)).size).toBe(1);
    const created = await own.call('GET', '/v1/audit-logs?action=crypto.create', { key: own.tenant.test });
    expect(created.json['data'].map((row: { details: object }) => row.details)).toEqual([
      expect.objectContaining({ key: 'kc-default', sandbox: true }),
    ]);
    await own.close();
  });

  it('give their bundle while the tenant is sealed, the same as before; nothing is sealed or opened then', async () => {
    const own = await createHarness();
    const read = async () => {
      const { status, json } = await own.call('GET', '/v1/encrypt/sealing-bundle', { key: own.tenant.live });
      return [status, json['data'] ?? json['error']];
    };
    const before = await read();
    await own.db
      .view(kmsTables)
      .scoped({ tenantId: own.tenant.id })
      .updateTable('tenant_master_keys')
      .set({ status: 'revoked', wrapped: null })
      .execute();
    own.clock.advance(LIMITS.tenantKeyCacheMs);
    const body = { data: 1 };
    const { json } = await own.call('POST', '/v1/encrypt', { key: own.tenant.live, body });
    expect(json['error'].type).toBe('tenant_sealed');
    expect(await read()).toEqual(before);
    expect(before[0]).toBe(200);
    await own.close();
  });

  it('that are rotated seal under the new version and open what the old one sealed, until it is destroyed', async () => {
    const id = await createKey('rotated');
    const old = await sealed('["x"]', ',"key":"rotated"');
    await rotate(id);
    expect(await encrypt('1', ',"key":"rotated"')).toMatchObject({ key_version: 2 });
    expect((await bundle('?key=rotated')).key_ref.key_version).toBe(2);
    const fresh = (await encrypt('1', ',"key":"rotated"')).ciphertext;
    expect(await decrypted(`[${old},"${fresh}"]`)).toBe('[["x"],1]');
    const key = harness.tenant.live;
    await harness.call('PATCH', '/v1/crypto/keys/rotated', { key, body: { deletion_allowed: true } });
    await harness.advance(1_000);
    await harness.call('DELETE', '/v1/crypto/keys/rotated/versions/1', { key });
    expect(await refused('/v1/decrypt', `{"data":${old}}`)).toEqual([410, 'key_version_destroyed']);
    // Still a ciphertext of ours, and no text: encrypting it again would hide that it is lost.
    expect(await sealed(old)).toBe(old);
  });
});

describe('roles, tenants and modes', () => {
  it('are bound: with another one nothing opens, and the answer is the same for every cause', async () => {
    const text = await sealed('"x"', ',"role":"pii"');
    const parts = (JSON.parse(text) as string).split(':');
    const changed = (at: number, part: string) =>
      `"${parts.map((own, i) => (i === at ? part : own)).join(':')}"`;
    const answers = [
      await post('/v1/decrypt', `{"data":${text}}`),
      await post('/v1/decrypt', `{"data":${text},"role":"pi"}`),
      await post('/v1/decrypt', `{"data":${text},"role":"pii"}`, { key: harness.other.live }),
      await post('/v1/decrypt', `{"data":${text},"role":"pii"}`, { key: harness.tenant.test }),
      await post('/v1/decrypt', `{"data":${changed(2, 'n')},"role":"pii"}`),
      await post('/v1/decrypt', `{"data":${changed(6, 'A'.repeat(22))},"role":"pii"}`),
    ];
    const shown = answers.map(({ status, json }) => [status, json['error'].type, json['error'].message]);
    expect(shown).toEqual(Array(6).fill([400, 'decryption_failed', 'A ciphertext does not open']));
    expect(await decrypted(text, ',"role":"pii"')).toBe('"x"');
  });

  it('open all or nothing', async () => {
    const [good, bad] = [await sealed('"canary"'), await sealed('"x"', ',"role":"pii"')];
    const before = (await entries('crypto.decrypt')).length;
    const answer = await post('/v1/decrypt', `{"data":[${good},${bad}]}`);
    expect([answer.status, answer.text.includes('canary')]).toEqual([400, false]);
    expect((await entries('crypto.decrypt')).length).toBe(before);
  });
});

describe('what was sealed without this server', () => {
  it('from the bundle by WebCrypto opens, with its role', async () => {
    const { public_key_raw, key_ref } = await bundle();
    expect(Buffer.from(public_key_raw, 'base64url')).toHaveLength(65);
    expect(key_ref).toMatchObject({ tenant_id: harness.tenant.id, key_version: 1 });
    const made = { public_key_raw, key_ref };
    for (const [datatype, text, expected] of [
      ['s', 'canary ż', '"canary ż"'],
      ['n', '1e400', '1e400'],
      ['b', 'false', 'false'],
      ['j', '{"a":[1.0,null]}', '{"a":[1.0,null]}'],
      ['x', 'ab', '"YWI="'],
    ] as const) {
      const by = await sealByWebCrypto(made, datatype, utf8.encode(text), 'pii');
      expect(await decrypted(`{"v":"${by}"}`, ',"role":"pii"')).toBe(`{"v":${expected}}`);
      expect(await refused('/v1/decrypt', `{"data":"${by}"}`)).toEqual(FAILED);
    }
  });

  it.each([
    ['n', '1,"injected":2'],
    ['n', ' 1'],
    ['n', '1 '],
    ['n', '"1"'],
    ['n', '[1]'],
    ['n', ''],
    ['b', '1'],
    ['b', 'truee'],
    ['j', '{"a":1},1'],
    ['j', ''],
    ['j', '\ufeff1'],
    ['j', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('as %s and is none is refused: %s', async (datatype, text) => {
    const by = await sealByWebCrypto(await bundle(), datatype, utf8.encode(text));
    expect(await refused('/v1/decrypt', `{"data":"${by}"}`)).toEqual(FAILED);
  });

  it('as a text and is no UTF-8 is refused', async () => {
    const by = await sealByWebCrypto(await bundle(), 's', Uint8Array.of(0xff));
    expect(await refused('/v1/decrypt', `{"data":"${by}"}`)).toEqual(FAILED);
  });
});

describe('inspect', () => {
  const inspected = async (value: unknown) =>
    (await post('/v1/inspect', JSON.stringify({ value }))).json['data'];

  it('tells what a text says of itself, of whomever it is, and is not audited', async () => {
    const own = (await encrypt('"x"')).ciphertext as string;
    const { keyId, tenantId } = parsePortable(own)!.keyRef;
    const told = await inspected(own);
    expect(told).toEqual({
      encrypted: true,
      scheme: 'kc',
      version: 1,
      datatype: 's',
      key_ref: { tenantId, appKeyId: keyId, keyVersion: 1 },
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(await inspected(own)).toEqual(told);
    expect((await inspected((await encrypt('"x"')).ciphertext)).fingerprint).not.toBe(told.fingerprint);
  });

  it.each([['x'], [''], ['kc:1:'], [1], [null], [true], [['kc:1:']], [{}]])('%j is none', async (value) => {
    expect(await inspected(value)).toEqual({ encrypted: false });
  });
});

describe('the audit log', () => {
  it('has one row a call of each key and version, with how many values, the role, and no value', async () => {
    const id = await createKey('audited');
    const one = await sealed('["canary",1,null]', ',"key":"audited","role":"pii"');
    await rotate(id);
    const two = await sealed('true', ',"key":"audited","role":"pii"');
    await decrypted(`[${one},${two},"passing"]`, ',"role":"pii"');
    const ofKey = async (action: string) =>
      (await entries(action))
        .filter((row: { resource_id: string }) => row.resource_id === id)
        .map((row: { details: object }) => row.details)
        .sort((a: { version: number }, b: { version: number }) => a.version - b.version);
    const row = (version: number, values: number) => ({
      key: 'audited',
      version,
      values,
      role: 'pii',
      sandbox: false,
    });
    expect(await ofKey('crypto.encrypt')).toEqual([row(1, 2), row(2, 1)]);
    expect(await ofKey('crypto.decrypt')).toEqual([row(1, 2), row(2, 1)]);
    expect(JSON.stringify(await entries('crypto.*'))).not.toContain('canary');
    expect(harness.logLines.join('')).not.toContain('canary');
  });

  it('has none of a document in which nothing was sealed', async () => {
    const before = (await entries('crypto.decrypt')).length;
    expect(await decrypted('{"a":"b"}')).toBe('{"a":"b"}');
    expect((await entries('crypto.decrypt')).length).toBe(before);
  });
});

describe('an idempotency key', () => {
  const keyed = (payload: string, key: string) =>
    post('/v1/encrypt', payload, { headers: { 'x-idempotency-key': key } });

  it('gets the same texts again, numbers with their digits', async () => {
    const payload = '{"data":[1e400,"x"]}';
    const first = await keyed(payload, 'small');
    const again = await keyed(payload, 'small');
    expect(again.headers['x-idempotent-replay']).toBe('true');
    expect(again.text).toBe(first.text);
  });

  it('of a large document has it sealed anew: no day of room is spent on it', async () => {
    const payload = JSON.stringify({ data: 'y'.repeat(1_100_000) });
    const [first, again] = [await keyed(payload, 'large'), await keyed(payload, 'large')];
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.headers['x-idempotent-replay']).toBeUndefined();
    expect(again.text).not.toBe(first.text);
  });
});
