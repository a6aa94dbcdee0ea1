import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../testing/harness.js';
import { KEY_TYPES } from './tables.js';

let harness: Harness;
let token: string;
beforeAll(async () => {
  harness = await createHarness();
  token = await harness.signIn(harness.tenant.ownerEmail);
});
afterAll(() => harness.close());

const KEYS = '/v1/crypto/keys';
const pathOf = (name: string) => `${KEYS}/${encodeURIComponent(name)}`;
const call = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
const asUser = (method: string, path: string, body?: unknown) =>
  harness.call(method, path.replace('/v1/', '/admin/'), { token, ...(body !== undefined && { body }) });
const create = (name: string, more: object = {}) => call('POST', KEYS, { name, ...more });
const refusal = async (answer: ReturnType<typeof call>) => {
  const { status, json } = await answer;
  return [status, json['error']?.type, Object.keys(json['fields'] ?? {})];
};

describe('crypto keys', () => {
  it('are created, listed and read in the fields of the contract', async () => {
    const made = await create('customer pii', { description: 'people' });
    const row = {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tenant_id: harness.tenant.id,
      name: 'customer pii',
      key_type: 'aes256-gcm',
      mode: 'cloud-only',
      current_version: 1,
      deletion_allowed: false,
      description: 'people',
      created_at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      updated_at: made.json['data'].created_at,
      created_by: harness.callerOf(harness.tenant, 'live').principal.apiKeyId,
      sandbox: false,
    };
    expect([made.status, made.json['data']]).toEqual([201, row]);
    expect((await call('GET', pathOf('customer pii'))).json['data']).toEqual(row);
    expect((await call('GET', pathOf(made.json['data'].id))).json['data']).toEqual(row);

    const list = await call('GET', KEYS);
    expect(Object.keys(list.json['meta'])).toEqual(['request_id']);
    const { tenant_id, created_by, sandbox, ...listed } = row;
    expect(list.json['data']).toEqual([listed]);
    // The twin has no envelope, and a vault's own key is in neither.
    await call('POST', '/v1/vaults', { name: 'cards' });
    expect((await asUser('GET', KEYS)).json).toEqual([listed]);
    const [entry] = (await call('GET', '/v1/audit-logs?action=crypto.create')).json['data'];
    expect(entry).toMatchObject({
      resource_type: 'crypto_key',
      resource_id: made.json['data'].id,
      details: { key: 'customer pii', key_type: 'aes256-gcm', sandbox: false },
    });
  });

  it.each(KEY_TYPES)('of the type %s have the public half that they should', async (key_type) => {
    const made = await create(`type ${key_type}`, { key_type, mode: 'bundled' });
    expect([made.status, made.json['data'].key_type, made.json['data'].mode]).toEqual([
      201,
      key_type,
      'bundled',
    ]);
    const path = `${pathOf(`type ${key_type}`)}/public-key`;
    if (/^(aes|hmac)/.test(key_type)) {
      expect(await refusal(call('GET', path))).toEqual([400, 'validation_error', ['name']]);
      return;
    }
    const { pem, jwk, key_version } = (await call('GET', path)).json['data'];
    const key = createPublicKey(pem);
    expect(key.export({ format: 'jwk' })).toEqual(expect.objectContaining({ kty: jwk.kty }));
    expect(jwk).toMatchObject({ ...key.export({ format: 'jwk' }), kid: `${made.json['data'].id}:v1` });
    expect(key_version).toBe(1);
    expect(JSON.stringify(jwk)).not.toMatch(/"(d|p|q|k)":/);
  });

  it('keep the public halves of former versions', async () => {
    await create('rotated', { key_type: 'ed25519' });
    const path = pathOf('rotated');
    const first = (await call('GET', `${path}/public-key`)).json['data'];
    expect((await call('POST', `${path}/rotate`, {})).json['data']).toEqual({ new_version: 2 });
    const second = (await call('GET', `${path}/public-key`)).json['data'];
    expect(second.key_version).toBe(2);
    expect(second.pem).not.toBe(first.pem);
    expect((await call('GET', `${path}/public-key?version=1`)).json['data']).toEqual(first);
    expect(await refusal(call('GET', `${path}/public-key?version=3`))).toEqual([404, 'not_found', []]);
    expect(await refusal(call('GET', `${path}/public-key?version=0`))).toEqual([
      400,
      'validation_error',
      ['version'],
    ]);
    await call('PATCH', path, { deletion_allowed: true });
    await harness.advance(1_000);
    expect((await call('DELETE', `${path}/versions/1`)).json['data']).toEqual({ destroyed: 1 });
    expect(await refusal(call('GET', `${path}/public-key?version=1`))).toEqual([
      410,
      'key_version_destroyed',
      [],
    ]);
    const [entry] = (await call('GET', '/v1/audit-logs?action=crypto.rotate')).json['data'];
    expect(entry).toMatchObject({ details: { key: 'rotated', new_version: 2 } });
  });

  it.each([
    'a/b',
    'a b',
    'a%2Fb',
    '%',
    'ключ',
    '🔑',
    '...',
    'rotate',
    'a?b#c',
    'a+b',
    '\\',
    "'; --",
    'x'.repeat(255),
  ])('may be named %j', async (name) => {
    expect((await create(name)).json['data']?.name).toBe(name);
    expect((await call('GET', pathOf(name))).json['data']?.name).toBe(name);
    const { ciphertext } = (await call('POST', `${pathOf(name)}/encrypt`, { plaintext: 'x' })).json['data'];
    const opened = await call('POST', `${pathOf(name)}/decrypt`, { ciphertext });
    expect(opened.json['data'].plaintext_b64).toBe('eA==');
  });

  it.each([
    '',
    '.',
    '..',
    ' a',
    'a ',
    'a\nb',
    'x'.repeat(256),
    '0190c1d2-0000-4000-8000-000000000001',
    '0190C1D2-0000-4000-8000-000000000001',
    null,
    7,
  ])('may not be named %j', async (name) => {
    expect(await refusal(call('POST', KEYS, { name }))).toEqual([400, 'validation_error', ['name']]);
  });

  it('are refused as a whole for what is wrong with them', async () => {
    for (const [more, field] of [
      [{ key_type: 'aes128-gcm' }, 'key_type'],
      [{ mode: 'exported' }, 'mode'],
      [{ description: 'x'.repeat(2_001) }, 'description'],
      [{ exportable: true }, 'exportable'],
    ] as const)
      expect(await refusal(create('wrong', more)), field).toEqual([400, 'validation_error', [field]]);
    expect(await refusal(call('GET', pathOf('wrong')))).toEqual([404, 'not_found', []]);
  });

  it('have each name once in a mode', async () => {
    expect((await create('twice')).status).toBe(201);
    expect(await refusal(create('twice', { key_type: 'ed25519' }))).toEqual([409, 'conflict', []]);
    const made = await Promise.all(Array.from({ length: 4 }, () => create('at once')));
    expect(made.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
    expect((await call('POST', KEYS, { name: 'twice' }, harness.tenant.test)).status).toBe(201);
    expect((await call('POST', KEYS, { name: 'twice' }, harness.other.live)).status).toBe(201);
  });

  it('leave the name of the portable key to its type', async () => {
    expect(await refusal(create('kc-default'))).toEqual([400, 'validation_error', ['key_type']]);
    expect((await create('kc-default', { key_type: 'ecdh-p256' })).status).toBe(201);
  });
});
