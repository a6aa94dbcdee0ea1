import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isoTime } from '../../kernel/clock.js';
import type { TestAnswer } from '../../testing/calls.js';
import { createVaultHarness, type VaultHarness } from '../../testing/vault-harness.js';

const CARD = '4111 1111 1111 1111';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';

interface Data {
  readonly id: string;
  readonly token: string;
  readonly value: string;
  readonly value_b64: string;
}
const dataOf = (answer: TestAnswer) => answer.json['data'] as unknown as Data;
const typeOf = (answer: TestAnswer) => answer.json['error']?.['type'];
const fieldsOf = (answer: TestAnswer) => Object.keys(answer.json['fields'] ?? {});

let harness: VaultHarness;
let vaultId: string;
let token: Data;
beforeAll(async () => {
  harness = await createVaultHarness();
  const created = await call('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
  vaultId = dataOf(created).id;
  token = dataOf(await call('POST', '/v1/vaults/cards/tokens', { value: CARD }));
});
afterAll(() => harness.close());

const call = (method: string, path: string, body?: unknown) =>
  harness.call(method, path, { key: harness.tenant.live, ...(body !== undefined && { body }) });

describe('200 and 201', () => {
  it('creates a vault with the fields of the contract and their defaults', async () => {
    const answer = await call('POST', '/v1/vaults', { name: 'plain' });
    expect(answer.status).toBe(201);
    expect(answer.json['data']).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tenant_id: harness.tenant.id,
      name: 'plain',
      token_format: 'generic',
      crypto_key_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      custody_mode: 'managed',
      default_ttl_seconds: null,
      metadata_jsonb: null,
      description: null,
      enabled: true,
      echo_guard: true,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: expect.any(String),
      created_by: harness.tenant.live.id,
      sandbox: false,
    });
  });

  it('takes what it gives: nulls and defaults of a row', async () => {
    const body = {
      name: 'all-fields',
      token_format: 'pan',
      custody_mode: 'managed',
      description: 'żółć',
      metadata_jsonb: { team: 'a' },
      echo_guard: false,
      default_ttl_seconds: 3_600,
    };
    expect((await call('POST', '/v1/vaults', body)).json['data']).toMatchObject(body);
  });

  it('reads a vault by name and by id, with counts', async () => {
    for (const nameOrId of ['cards', vaultId, vaultId.toUpperCase()]) {
      const { status, json } = await call('GET', `/v1/vaults/${nameOrId}`);
      expect([status, json['data']?.['id']]).toEqual([200, vaultId]);
      expect(json['data']?.['stats']).toEqual({ token_count: 1, active_count: 1, expiring_in_24h: 0 });
    }
  });

  it('lists vaults and tokens in pages', async () => {
    const vaults = await call('GET', '/v1/vaults?sort=name&order=asc&per_page=2');
    expect(vaults.json['meta']).toMatchObject({ page: 1, per_page: 2 });
    expect((vaults.json['data'] as unknown as { name: string }[]).map((row) => row.name)).toEqual([
      'all-fields',
      'cards',
    ]);
    const tokens = await call('GET', '/v1/vaults/cards/tokens');
    expect(tokens.json['meta']).toMatchObject({ total: 1, total_pages: 1 });
    expect(tokens.json['data']).toEqual([
      {
        ...token,
        created_by_api_key_id: harness.tenant.live.id,
        created_by_user_id: null,
      },
    ]);
    expect((await call('GET', '/v1/vaults/cards/tokens?page=9')).json['data']).toEqual([]);
  });

  it('changes a vault and answers with the row', async () => {
    await call('POST', '/v1/vaults', { name: 'changing', description: 'before' });
    const changes = {
      enabled: false,
      echo_guard: false,
      description: null,
      metadata_jsonb: { a: 1 },
      default_ttl_seconds: 60,
    };
    const answer = await call('PATCH', '/v1/vaults/changing', changes);
    expect(answer.status).toBe(200);
    expect(answer.json['data']).toMatchObject({ name: 'changing', ...changes });
    expect((await call('GET', '/v1/vaults/changing')).json['data']).toMatchObject(changes);
    const [entry] = (await call('GET', '/v1/audit-logs?action=vault.update')).json['data'];
    expect(entry.details.changed.sort()).toEqual(Object.keys(changes).sort());
  });

  it('tokenizes, and says no more of a token than the contract', async () => {
    const answer = await call('POST', '/v1/vaults/cards/tokens', { value: CARD, metadata: { n: 1 } });
    expect(answer.status).toBe(201);
    expect(answer.json['data']).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      token: expect.stringMatching(/^411111\d{6}1111$/),
      expires_at: null,
      created_at: expect.any(String),
      card_expires_on: null,
      card_funding_type: null,
      card_issuing_country: null,
    });
    await call('DELETE', `/v1/vaults/cards/tokens/${dataOf(answer).id}`);
  });

  it('tokenizes for a time, after which the token is 404 and holds no vault', async () => {
    await call('POST', '/v1/vaults', { name: 'short', default_ttl_seconds: 120 });
    const madeAt = harness.clock.nowMs();
    const atSeconds = (seconds: number) => isoTime(madeAt + seconds * 1000);
    const [own, byVault] = [
      await call('POST', '/v1/vaults/short/tokens', { value: 'x', ttl_seconds: 60 }),
      await call('POST', '/v1/vaults/short/tokens', { value: 'x', ttl_seconds: null }),
    ];
    expect(own.json['data']['expires_at']).toBe(atSeconds(60));
    expect(byVault.json['data']['expires_at']).toBe(atSeconds(120));
    expect((await call('GET', '/v1/vaults/short')).json['data']).toMatchObject({
      default_ttl_seconds: 120,
      stats: { token_count: 2, active_count: 2, expiring_in_24h: 2 },
    });
    await harness.advance(60_000);
    const path = `/v1/vaults/short/tokens/${dataOf(own).token}`;
    for (const method of ['GET', 'DELETE', 'PATCH']) {
      const answer = await call(method, path, method === 'PATCH' ? { metadata: null } : undefined);
      expect([answer.status, typeOf(answer)]).toEqual([404, 'not_found']);
    }
    const listed = await call('GET', '/v1/vaults/short/tokens');
    expect(listed.json['meta']['total']).toBe(1);
    expect(listed.json['data']).toMatchObject([{ token: dataOf(byVault).token, expires_at: atSeconds(120) }]);
    expect((await call('GET', '/v1/vaults/short')).json['data']['stats']).toEqual({
      token_count: 2,
      active_count: 1,
      expiring_in_24h: 1,
    });
    expect((await call('DELETE', '/v1/vaults/short')).status).toBe(409);
    await harness.advance(60_000);
    expect((await call('DELETE', '/v1/vaults/short')).status).toBe(200);
  });

  it('keeps until when a card is good, and tells nothing of its bank', async () => {
    const body = { value: CARD, card_exp_month: 2, card_exp_year: 2028 };
    const made = await call('POST', '/v1/vaults/cards/tokens', body);
    const expected = {
      card_expires_on: '2028-02-29',
      card_funding_type: null,
      card_issuing_country: null,
      expires_at: null,
    };
    expect([made.status, made.json['data']]).toEqual([201, expect.objectContaining(expected)]);
    const path = `/v1/vaults/cards/tokens/${dataOf(made).id}`;
    expect((await call('GET', path)).json['data']).toMatchObject({ ...expected, value: CARD });
    const listed = await call('GET', '/v1/vaults/cards/tokens');
    expect(listed.json['data']).toContainEqual(expect.objectContaining({ id: dataOf(made).id, ...expected }));
    await call('DELETE', path);
  });

  it('detokenizes by text and by id, not to be stored by anybody', async () => {
    for (const reference of [token.token, token.id]) {
      const answer = await call('GET', `/v1/vaults/cards/tokens/${reference}`);
      expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
      expect(answer.json['data']).toEqual({
        ...token,
        value: CARD,
        value_b64: Buffer.from(CARD).toString('base64'),
        metadata: null,
        crypto_key_version: 1,
      });
    }
  });

  it('decodes a path segment once', async () => {
    const encoded = [...token.token].map((digit) => `%${digit.charCodeAt(0).toString(16)}`).join('');
    expect((await call('GET', `/v1/vaults/%63ards/tokens/${encoded}`)).status).toBe(200);
    const twice = encoded.replaceAll('%', '%25');
    expect((await call('GET', `/v1/vaults/cards/tokens/${twice}`)).status).toBe(404);
  });

  it('takes any value in a generic vault, and the largest', async () => {
    for (const value of ['ż💳', '\u0001', ' ', 'x'.repeat(65_536), '{{ token: x }}', '💳'.repeat(16_384)]) {
      const made = await call('POST', '/v1/vaults/plain/tokens', { value });
      expect(made.status).toBe(201);
      const read = await call('GET', `/v1/vaults/plain/tokens/${dataOf(made).token}`);
      expect(dataOf(read).value === value).toBe(true);
      expect(Buffer.from(dataOf(read).value_b64, 'base64').toString() === value).toBe(true);
    }
  });

  it.each([
    ['ssn', '123-45-6789', /^9\d\d-\d\d-6789$/, '123-45-67'],
    ['email', 'Ada@Example.com', /^[a-z2-7]{20}@example\.com$/, 'ada.example.com'],
    ['uuid', 'anything', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, ''],
  ])('tokenizes by the format %s, and reads back by the token', async (format, value, expected, refused) => {
    await call('POST', '/v1/vaults', { name: `as-${format}`, token_format: format });
    const made = await call('POST', `/v1/vaults/as-${format}/tokens`, { value });
    expect([made.status, dataOf(made).token]).toEqual([201, expect.stringMatching(expected)]);
    const path = `/v1/vaults/as-${format}/tokens/${encodeURIComponent(dataOf(made).token)}`;
    expect(dataOf(await call('GET', path)).value).toBe(value);
    const answer = await call('POST', `/v1/vaults/as-${format}/tokens`, { value: refused });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['value']]);
    expect((await call('DELETE', path)).status).toBe(200);
  });

  it('changes the metadata of a token, and nothing else of it', async () => {
    const made = await call('POST', '/v1/vaults/plain/tokens', {
      value: 'kept',
      metadata: { order: 1 },
      ttl_seconds: 3_600,
    });
    const path = `/v1/vaults/plain/tokens/${dataOf(made).token}`;
    const before = (await call('GET', path)).json['data'];
    for (const metadata of [{ order: 2, tags: ['a'] }, null, {}]) {
      const answer = await call('PATCH', path, { metadata });
      expect([answer.status, answer.json['data']]).toEqual([200, { updated: true }]);
      expect((await call('GET', path)).json['data']).toEqual({ ...before, metadata });
    }
    const [entry] = (await call('GET', '/v1/audit-logs?action=vault.token.update')).json['data'];
    expect(entry).toMatchObject({
      resource_type: 'vault',
      details: { token_id: dataOf(made).id, vault: 'plain' },
    });
    expect(JSON.stringify(entry)).not.toContain(dataOf(made).token);
  });

  it('deletes a token, then an empty vault, then one that is not', async () => {
    await call('POST', '/v1/vaults', { name: 'doomed' });
    const made = await call('POST', '/v1/vaults/doomed/tokens', { value: 'x' });
    const path = `/v1/vaults/doomed/tokens/${dataOf(made).id}`;
    expect((await call('DELETE', path)).json['data']).toEqual({ deleted: true });
    expect((await call('DELETE', path)).status).toBe(404);
    expect((await call('DELETE', '/v1/vaults/doomed')).json['data']).toEqual({ deleted: true });
    await call('POST', '/v1/vaults', { name: 'doomed' });
    await call('POST', '/v1/vaults/doomed/tokens', { value: 'x' });
    expect((await call('DELETE', '/v1/vaults/doomed?force=false')).status).toBe(409);
    expect((await call('DELETE', '/v1/vaults/doomed?force=true')).json['data']).toEqual({ deleted: true });
    expect((await call('GET', '/v1/vaults/doomed')).status).toBe(404);
  });
});

describe('400', () => {
  it.each([
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 'Upper' }],
    ['name', { name: 'with.dot' }],
    ['name', { name: '-first' }],
    ['name', { name: 'x'.repeat(64) }],
    ['name', { name: '0b5a3c52-6d3f-4f5e-9b0a-0a8f3d1c2b4a' }],
    ['token_format', { name: 'n', token_format: 'iban' }],
    ['token_format', { name: 'n', token_format: 7 }],
    ['custody_mode', { name: 'n', custody_mode: 'customer' }],
    ['default_ttl_seconds', { name: 'n', default_ttl_seconds: 0 }],
    ['default_ttl_seconds', { name: 'n', default_ttl_seconds: 1.5 }],
    ['default_ttl_seconds', { name: 'n', default_ttl_seconds: '60' }],
    ['default_ttl_seconds', { name: 'n', custody_mode: 'dual', default_ttl_seconds: 60 }],
    ['description', { name: 'n', description: 'x'.repeat(2001) }],
    ['description', { name: 'n', description: 'a\u0000b' }],
    ['description', { name: 'n', description: '\ud800' }],
    ['metadata_jsonb', { name: 'n', metadata_jsonb: [] }],
    ['echo_guard', { name: 'n', echo_guard: 'yes' }],
    ['sandbox', { name: 'n', sandbox: true }],
  ])('refuses a vault for its %s', async (field, body) => {
    const answer = await call('POST', '/v1/vaults', body);
    expect([answer.status, typeOf(answer)]).toEqual([400, 'validation_error']);
    expect(fieldsOf(answer)).toEqual([field]);
  });

  it('names the formats there are', async () => {
    const answer = await call('POST', '/v1/vaults', { name: 'n', token_format: 'iban' });
    expect(answer.json['fields']?.['token_format']).toEqual([
      'must be one of generic, pan, ssn, email, uuid',
    ]);
  });

  it.each([
    ['name', { name: 'other' }],
    ['token_format', { token_format: 'generic' }],
    ['custody_mode', { custody_mode: 'managed' }],
    ['default_ttl_seconds', { default_ttl_seconds: -1 }],
    ['unheard_of', { unheard_of: 1 }],
    ['enabled', { enabled: null }],
    ['body', {}],
  ])('refuses to change %s', async (field, body) => {
    const answer = await call('PATCH', '/v1/vaults/cards', body);
    expect([answer.status, typeOf(answer)]).toEqual([400, 'validation_error']);
    expect(fieldsOf(answer)).toEqual([field]);
  });

  it.each([
    ['value', {}],
    ['value', { value: '' }],
    ['value', { value: 4111111111111111 }],
    ['value', { value: '4111111111111112' }],
    ['value', { value: 'not a card 4111' }],
    ['ttl_seconds', { value: CARD, ttl_seconds: 0 }],
    ['ttl_seconds', { value: CARD, ttl_seconds: 0.5 }],
    ['ttl_seconds', { value: CARD, ttl_seconds: 3_153_600_001 }],
    ['card_exp_year', { value: CARD, card_exp_month: 1, card_exp_year: null }],
    ['card_exp_month', { value: CARD, card_exp_year: 2030 }],
    ['card_exp_month', { value: CARD, card_exp_month: 0, card_exp_year: 2030 }],
    ['card_exp_month', { value: CARD, card_exp_month: 13, card_exp_year: 2030 }],
    ['card_exp_month', { value: CARD, card_exp_month: '1', card_exp_year: 2030 }],
    ['card_exp_year', { value: CARD, card_exp_month: 1, card_exp_year: 29 }],
    ['card_exp_year', { value: CARD, card_exp_month: 1, card_exp_year: 10_000 }],
    ['metadata', { value: CARD, metadata: 'text' }],
    ['idempotent', { value: CARD, idempotent: true }],
  ])('refuses to tokenize for the %s, without repeating the value', async (field, body) => {
    const answer = await call('POST', '/v1/vaults/cards/tokens', body);
    expect([answer.status, typeOf(answer)]).toEqual([400, 'validation_error']);
    expect(fieldsOf(answer)).toEqual([field]);
    // The request id is random, and these digits may stand in it.
    expect(answer.text.replace(String(answer.headers['x-request-id']), '')).not.toMatch(/4111/);
  });

  it('refuses the end of a card in a vault of another format', async () => {
    const body = { value: 'x', card_exp_month: 1, card_exp_year: 2030 };
    const answer = await call('POST', '/v1/vaults/plain/tokens', body);
    expect([answer.status, answer.json['fields']]).toEqual([
      400,
      { card_exp_month: ['is only for vaults of the format pan'] },
    ]);
    const absent = { value: 'x', card_exp_month: null, card_exp_year: null };
    expect((await call('POST', '/v1/vaults/plain/tokens', absent)).status).toBe(201);
  });

  it.each(['a\ud800b', 'a\u0000b'])('refuses %j, which not every reader gives back', async (value) => {
    const answer = await call('POST', '/v1/vaults/plain/tokens', { value });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['value']]);
  });

  it.each(['/v1/vaults?sort=token_format', '/v1/vaults?order=up', '/v1/vaults/cards/tokens?sort=token'])(
    'refuses %s',
    async (path) => {
      expect(typeOf(await call('GET', path))).toBe('validation_error');
    },
  );

  it.each([
    ['metadata', {}],
    ['metadata', { metadata: 'text' }],
    ['metadata', { metadata: [] }],
    ['value', { metadata: null, value: 'x' }],
    ['ttl_seconds', { metadata: null, ttl_seconds: 60 }],
  ])('refuses to change a token for the %s', async (field, body) => {
    const answer = await call('PATCH', `/v1/vaults/cards/tokens/${token.id}`, body);
    expect([answer.status, typeOf(answer), fieldsOf(answer)]).toEqual([400, 'validation_error', [field]]);
  });

  it('refuses a force that is neither true nor false', async () => {
    const answer = await call('DELETE', '/v1/vaults/cards?force=1');
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['force']]);
  });
});

describe('403', () => {
  it('a key with a grant for one vault reaches that one, by name and by id, and no other', async () => {
    const notes = dataOf(await call('POST', '/v1/vaults', { name: 'notes-of-one' }));
    const note = dataOf(await call('POST', '/v1/vaults/notes-of-one/tokens', { value: 'x' }));
    const granted = ['vaults:tokenize', 'vaults:detokenize'].map((permission) => ({
      permission,
      resource: 'notes-of-one',
    }));
    const made = await call('POST', '/v1/api-keys', { name: 'one vault', grants: granted });
    const key = String(made.json['data']?.['api_key']);
    const narrow = (method: string, path: string, body?: unknown) =>
      harness.call(method, path, { key, body });
    for (const vault of ['notes-of-one', notes.id]) {
      expect((await narrow('POST', `/v1/vaults/${vault}/tokens`, { value: 'y' })).status).toBe(201);
      const several = await narrow('POST', `/v1/vaults/${vault}/tokens/bulk`, { values: [{ value: 'y' }] });
      expect(several.status).toBe(201);
      expect((await narrow('GET', `/v1/vaults/${vault}/tokens/${note.id}`)).status).toBe(200);
    }
    for (const vault of ['cards', vaultId]) {
      const tokenized = await narrow('POST', `/v1/vaults/${vault}/tokens`, { value: CARD });
      const read = await narrow('GET', `/v1/vaults/${vault}/tokens/${token.id}`);
      const several = await narrow('POST', `/v1/vaults/${vault}/tokens/bulk`, { values: [{ value: CARD }] });
      expect([tokenized.status, read.status, typeOf(read)]).toEqual([403, 403, 'forbidden']);
      expect([several.status, several.json['error']?.['message']]).toEqual([
        403,
        'Missing permission vaults:tokenize for vault "cards"',
      ]);
      expect(read.json['error']?.['message']).toBe('Missing permission vaults:detokenize for vault "cards"');
    }
    expect((await narrow('GET', '/v1/vaults')).status).toBe(403);
    // A grant to read and write values is none to change tokens.
    const own = `/v1/vaults/notes-of-one/tokens/${note.id}`;
    for (const [method, body] of [['PATCH', { metadata: null }], ['DELETE']] as const) {
      const answer = await narrow(method, own, body);
      expect([answer.status, answer.json['error']?.['message']]).toEqual([
        403,
        expect.stringContaining('vaults:write'),
      ]);
    }
  });
});

describe('404', () => {
  it('answers an unknown token of a known vault, and a token of another vault, alike', async () => {
    const elsewhere = dataOf(await call('POST', '/v1/vaults/plain/tokens', { value: 'x' }));
    const errors = [];
    for (const reference of ['tok_unknown', UNKNOWN, elsewhere.id, elsewhere.token]) {
      for (const method of ['GET', 'DELETE', 'PATCH']) {
        const body = method === 'PATCH' ? { metadata: null } : undefined;
        const answer = await call(method, `/v1/vaults/cards/tokens/${reference}`, body);
        errors.push(JSON.stringify([answer.status, { ...answer.json['error'], request_id: '' }]));
      }
    }
    expect(new Set(errors).size).toBe(1);
    expect(errors[0]).toContain('[404,');
  });
});

describe('409', () => {
  it('refuses a name that is taken', async () => {
    const answer = await call('POST', '/v1/vaults', { name: 'cards' });
    expect([answer.status, typeOf(answer)]).toEqual([409, 'conflict']);
  });

  it('refuses to use a disabled vault', async () => {
    await call('POST', '/v1/vaults', { name: 'off' });
    const made = await call('POST', '/v1/vaults/off/tokens', { value: 'x' });
    await call('PATCH', '/v1/vaults/off', { enabled: false });
    const answers = [
      await call('POST', '/v1/vaults/off/tokens', { value: 'x' }),
      await call('GET', `/v1/vaults/off/tokens/${dataOf(made).id}`),
    ];
    for (const answer of answers) {
      expect([answer.status, typeOf(answer)]).toEqual([409, 'vault_disabled']);
    }
    expect((await call('GET', '/v1/vaults/off/tokens')).json['meta']?.['total']).toBe(1);
  });
});

describe('413', () => {
  it('refuses a value above 64 KiB of UTF-8', async () => {
    for (const value of ['x'.repeat(65_537), '💳'.repeat(16_385)]) {
      const answer = await call('POST', '/v1/vaults/plain/tokens', { value });
      expect([answer.status, typeOf(answer)]).toEqual([413, 'payload_too_large']);
    }
  });

  it('takes the longest value and metadata with every character escaped', async () => {
    const escaped = (length: number) => '\\u0061'.repeat(length);
    const payload = `{"value":"${escaped(65_536)}","metadata":{"a":"${escaped(4_088)}"}}`;
    const { status } = await harness.call('POST', '/v1/vaults/plain/tokens', {
      key: harness.tenant.live,
      payload,
    });
    expect(status).toBe(201);
  });

  it('refuses metadata above 4 KiB', async () => {
    const metadata = { a: 'ż'.repeat(2_050) };
    const answers = [
      await call('POST', '/v1/vaults/plain/tokens', { value: 'x', metadata }),
      await call('POST', '/v1/vaults', { name: 'large', metadata_jsonb: metadata }),
      await call('PATCH', '/v1/vaults/plain', { metadata_jsonb: metadata }),
      await call('PATCH', `/v1/vaults/cards/tokens/${token.id}`, { metadata }),
    ];
    for (const answer of answers) expect(typeOf(answer)).toBe('payload_too_large');
  });
});

it('says nothing of a value in the log', () => {
  expect(harness.logLines.length).toBeGreaterThan(10);
  expect(harness.logLines.join('')).not.toMatch(/4111 1111|4111111111111111/);
});
