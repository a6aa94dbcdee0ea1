import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import type { TestKey } from '../../testing/tenants.js';
import { systemActor } from '../accounts/index.js';
import { auditTables } from '../audit-logs/tables.js';

const SHOP = 'https://shop.example';
const INVALID = [401, 'invalid_token'];

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
  await harness.call('POST', '/v1/vaults', { key: harness.tenant.live, body: { name: 'cards' } });
  await harness.call('POST', '/v1/vaults', { key: harness.tenant.live, body: { name: 'notes' } });
});
afterAll(() => harness.close());

type As = { readonly key?: TestKey | string } & TestCall;
const post = (path: string, body: unknown, as: As = {}) =>
  harness.call('POST', path, { key: harness.tenant.live, body, ...as });
const create = (body: object, as: As = {}) => post('/v1/client-tokens', body, as);
const newToken = async (body: object, as: As = {}): Promise<string> => {
  const { status, text, json } = await create(body, as);
  expect([status, text]).toEqual([201, text]);
  return json['data'].token;
};
const seal = async (data: unknown, more: object = {}) =>
  (await post('/v1/encrypt', { data, ...more })).json['data'].ciphertext;
const tokenize = async (value: string, vault = 'cards') =>
  (await post(`/v1/vaults/${vault}/tokens`, { value })).json['data'].token as string;
/** What a page sends: the token, and nothing that it would have of its own. */
const use = (action: string, token: string, body: unknown, more: TestCall = {}) => {
  const { headers, ...rest } = more;
  return harness.call('POST', `/v1/client/${action}`, {
    body,
    ...rest,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
};
const shown = async (answer: ReturnType<typeof use>) => {
  const { status, json } = await answer;
  return [status, json['error']?.['type']];
};
/** Something happens while its body is on its way: the token was admitted before. */
const useLate = async (action: string, token: string, sent: object, meanwhile: () => Promise<unknown>) => {
  const text = JSON.stringify(sent);
  const payload = Readable.from(
    (async function* () {
      yield text.slice(0, 9);
      await meanwhile();
      yield text.slice(9);
    })(),
  );
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', origin: SHOP };
  const url = `/v1/client/${action}`;
  const { statusCode, json } = await harness.app.inject({ method: 'POST', url, headers, payload });
  return [statusCode, json().error?.type];
};
const inPage = (origin = SHOP): TestCall => ({ headers: { origin } });
const decryptToken = async (data: unknown, more: object = {}) =>
  newToken({ action: 'decrypt', data, ...more });
const tokenizeToken = (more: object = {}, as: As = {}) =>
  newToken({ action: 'tokenize', vault: 'cards', origins: [SHOP], ...more }, as);
const newKey = async (body: object): Promise<string> =>
  (await post('/v1/api-keys', { name: 'limited', ...body })).json['data'].api_key;
const entries = async (action: string) =>
  (await harness.call('GET', `/v1/audit-logs?action=${action}&per_page=100`, { key: harness.tenant.live }))
    .json['data'];

describe('making one', () => {
  it('is 201 with the token once, its end, and what it is for', async () => {
    const { status, headers, json } = await create({ action: 'tokenize', vault: 'cards', origins: [SHOP] });
    const vault = await harness.call('GET', '/v1/vaults/cards', { key: harness.tenant.live });
    expect([status, headers['cache-control']]).toEqual([201, 'no-store']);
    expect(json['data']).toEqual({
      token: expect.stringMatching(/^kct_[A-Za-z0-9_-]{43}$/),
      expires_at: new Date(harness.clock.nowMs() + 300_000).toISOString(),
      action: 'tokenize',
      vault_id: vault.json['data'].id,
      origins: [SHOP],
    });
    const other = await create({ action: 'decrypt', data: 'x' });
    expect(Object.keys(other.json['data'])).toEqual(['token', 'expires_at', 'action']);
  });

  it('lives as long as was asked for, 600 s at most', async () => {
    for (const [ttl, seconds] of [
      [1, 1],
      [600, 600],
      [601, 600],
      [86_400, 600],
    ]) {
      const { json } = await create({ action: 'decrypt', data: 1, ttl_seconds: ttl });
      expect(Date.parse(json['data'].expires_at) - harness.clock.nowMs()).toBe(seconds! * 1000);
    }
    const bad = await create({ action: 'decrypt', data: 1, ttl_seconds: 0 });
    expect([bad.status, Object.keys(bad.json['fields'])]).toEqual([400, ['ttl_seconds']]);
  });

  it('has origins as browsers write them, each once, sorted', async () => {
    const origins = [
      'https://B.example:443',
      'https://a.example:8443',
      'https://b.example',
      'https://bücher.example',
    ];
    const { json } = await create({ action: 'tokenize', vault: 'cards', origins });
    expect(json['data'].origins).toEqual([
      'https://a.example:8443',
      'https://b.example',
      'https://xn--bcher-kva.example',
    ]);
  });

  it.each([
    'http://shop.example',
    'https://shop.example/',
    'https://shop.example/pay',
    'https://shop.example?x',
    'https://shop.example#x',
    'https://user@shop.example',
    'https://*.example',
    'https://shop.example:0x1',
    'https://shop.example:99999',
    'https://shop..example',
    'https://',
    'https:shop.example',
    ' https://shop.example',
    'https://shop.example\\x',
    'null',
    'shop.example',
    '',
  ])('has no origin %j', async (origin) => {
    const { status, json } = await create({ action: 'tokenize', vault: 'cards', origins: [SHOP, origin] });
    expect([status, Object.keys(json['fields'])]).toEqual([400, ['origins[1]']]);
  });

  it.each([
    [{ action: 'tokenize', origins: [SHOP] }, ['vault']],
    [{ action: 'tokenize', vault: 'cards' }, ['origins']],
    [{ action: 'tokenize', vault: 'cards', origins: [] }, ['origins']],
    [{ action: 'tokenize', vault: 'cards', origins: Array(11).fill(SHOP) }, ['origins']],
    [{ action: 'tokenize', vault: 'cards', origins: [SHOP], data: 'x' }, ['data']],
    [{ action: 'tokenize', vault: 'cards', origins: [SHOP], data: null }, ['data']],
    [{ action: 'tokenize', vault: 'cards', origins: [SHOP], role: 'pii' }, ['role']],
    [{ action: 'decrypt' }, ['data']],
    [{ action: 'decrypt', data: 'x', vault: 'cards', origins: [SHOP] }, ['vault', 'origins']],
    [{ action: 'detokenize' }, ['data']],
    [{ action: 'detokenize', data: 'x', role: 'pii' }, ['role']],
    [{ action: 'detokenize', data: ['x'] }, ['data']],
    [{ action: 'detokenize', data: '' }, ['data']],
    [{ action: 'encrypt', data: 'x' }, ['action']],
  ])('is 400 of %j', async (body, fields) => {
    const { status, json } = await create(body);
    expect([status, Object.keys(json['fields'])]).toEqual([400, fields]);
  });

  it('says which actions there are', async () => {
    const { json } = await create({ action: 'encrypt', data: 'x' });
    expect(json['fields']).toEqual({ action: ['must be one of decrypt, detokenize, tokenize'] });
  });

  it('is 404 of a vault that is not there, of another mode or another tenant', async () => {
    const body = { action: 'tokenize', vault: 'cards', origins: [SHOP] };
    expect((await create({ ...body, vault: 'none' })).status).toBe(404);
    for (const key of [harness.tenant.test, harness.other.live])
      expect((await create(body, { key })).status).toBe(404);
  });

  it('needs the permission of the act, of that vault', async () => {
    const cards = await newKey({
      grants: [
        { permission: 'vaults:tokenize', resource: 'cards' },
        { permission: 'vaults:detokenize', resource: 'cards' },
      ],
    });
    const as = (body: object) => create(body, { key: cards });
    const ofTokenize = { action: 'tokenize', vault: 'cards', origins: [SHOP] };
    expect((await as(ofTokenize)).status).toBe(201);
    expect((await as({ action: 'detokenize', vault: 'cards', data: 'x' })).status).toBe(201);
    const refusals = [
      [{ action: 'decrypt', data: 'x' }, 'crypto:decrypt'],
      [{ ...ofTokenize, vault: 'notes' }, 'vaults:tokenize'],
      [{ action: 'detokenize', vault: 'notes', data: 'x' }, 'vaults:detokenize'],
    ] as const;
    for (const [body, permission] of refusals) {
      const { status, json } = await as(body);
      expect([status, json['error'].type]).toEqual([403, 'forbidden']);
      expect(json['error'].message).toContain(permission);
    }
    const none = await newKey({ role_ids: [] });
    for (const body of [ofTokenize, { action: 'detokenize', data: 'x' }, { action: 'decrypt', data: 'x' }])
      expect((await create(body, { key: none })).status).toBe(403);
  });
});

describe('decrypt', () => {
  it('opens the pinned data once, however its JSON is written', async () => {
    const data = await seal({ b: 'canary', a: [1.5, null] });
    const token = await decryptToken(data);
    const payload = `{ "data": {"a" :[ ${JSON.stringify(data.a[0])}, null], "b":${JSON.stringify(data.b)}} }`;
    const answer = await use('decrypt', token, undefined, { payload });
    expect(answer.json['data'].plaintext).toEqual({ a: [1.5, null], b: 'canary' });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(await shown(use('decrypt', token, { data }))).toEqual(INVALID);
  });

  it('opens nothing else, not even beside it', async () => {
    const [one, other] = [await seal('canary'), await seal('other')];
    const token = await decryptToken({ a: one });
    for (const payload of [
      JSON.stringify({ data: { a: other } }),
      JSON.stringify({ data: one }),
      `{"data":{"a":${JSON.stringify(other)},"a":${JSON.stringify(one)}}}`,
    ])
      expect(await shown(use('decrypt', token, undefined, { payload }))).toEqual(INVALID);
    // It was not used up by what it is not for.
    expect((await use('decrypt', token, { data: { a: one } })).status).toBe(200);
  });

  it('is worth nothing after five tries with what it was not made for', async () => {
    const data = await seal('canary');
    const token = await decryptToken(data);
    for (let n = 0; n < LIMITS.clientTokenMissesMax; n++)
      expect(await shown(use('decrypt', token, { data: 'x' }))).toEqual(INVALID);
    expect(await shown(use('decrypt', token, { data }))).toEqual(INVALID);
  });

  it('is worth nothing to a body that comes after its end', async () => {
    const data = await seal('canary');
    const token = await decryptToken(data, { ttl_seconds: 1 });
    const late = useLate('decrypt', token, { data }, () => harness.advance(1_000));
    expect(await late).toEqual(INVALID);
  });

  it('has the role that is pinned; without one that which is sent', async () => {
    const data = await seal('canary', { role: 'pii' });
    const pinned = await decryptToken(data, { role: 'pii' });
    expect(await shown(use('decrypt', pinned, { data, role: 'other' }))).toEqual(INVALID);
    expect((await use('decrypt', pinned, { data })).json['data'].plaintext).toBe('canary');
    const open = await decryptToken(data);
    expect(await shown(use('decrypt', open, { data }))).toEqual([400, 'decryption_failed']);
    expect((await use('decrypt', open, { data, role: 'pii' })).status).toBe(200);
  });

  it('of numbers that are none in JavaScript keeps their digits apart', async () => {
    const payload = (data: string) => ({ payload: `{"action":"decrypt","data":${data}}` });
    const token = (
      await harness.call('POST', '/v1/client-tokens', { key: harness.tenant.live, ...payload('[1e400,1.0]') })
    ).json['data'].token;
    const used = (data: string) => use('decrypt', token, undefined, { payload: `{"data":${data}}` });
    expect(await shown(used('[1e401,1]'))).toEqual(INVALID);
    expect((await used('[1e400,1]')).text).toContain('"plaintext":[1e400,1]');
  });
});

describe('detokenize', () => {
  it('reads the pinned token once', async () => {
    const data = await tokenize('canary');
    const token = await newToken({ action: 'detokenize', vault: 'cards', data });
    expect(await shown(use('detokenize', token, { vault: 'cards', token: await tokenize('other') }))).toEqual(
      INVALID,
    );
    expect(await shown(use('detokenize', token, { vault: 'notes', token: data }))).toEqual(INVALID);
    const answer = await use('detokenize', token, { vault: 'cards', token: data });
    const twin = await harness.call('GET', `/v1/vaults/cards/tokens/${data}`, { key: harness.tenant.live });
    expect(answer.json['data']).toEqual(twin.json['data']);
    expect(await shown(use('detokenize', token, { vault: 'cards', token: data }))).toEqual(INVALID);
  });

  it('whose vault is not pinned reads in those that the maker may', async () => {
    const key = await newKey({ grants: [{ permission: 'vaults:detokenize', resource: 'cards' }] });
    const data = await tokenize('canary', 'notes');
    const token = await newToken({ action: 'detokenize', data }, { key });
    expect(await shown(use('detokenize', token, { vault: 'notes', token: data }))).toEqual(INVALID);
    const own = await newToken({ action: 'detokenize', data });
    expect((await use('detokenize', own, { vault: 'notes', token: data })).json['data'].value).toBe('canary');
  });

  it('is worth nothing after as many tries at once', async () => {
    const data = await tokenize('canary');
    const token = await newToken({ action: 'detokenize', vault: 'cards', data });
    const guesses = [...Array.from({ length: 20 }, (_, n) => `tok_${n}`), data];
    const answers = await Promise.all(
      guesses.map((guess) => shown(use('detokenize', token, { vault: 'cards', token: guess }))),
    );
    expect(answers).toEqual(Array(21).fill(INVALID));
  });

  it('is not used up by a token that is gone', async () => {
    const token = await newToken({ action: 'detokenize', vault: 'cards', data: 'tok_none' });
    for (const _ of [1, 2])
      expect(await shown(use('detokenize', token, { vault: 'cards', token: 'tok_none' }))).toEqual([
        404,
        'not_found',
      ]);
  });
});

describe('tokenize', () => {
  it('puts one value into the pinned vault, from a pinned origin', async () => {
    const token = await tokenizeToken();
    const answer = await use('tokenize', token, { vault: 'cards', value: 'canary' }, inPage());
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([201, SHOP]);
    const made = answer.json['data'].token;
    const read = await harness.call('GET', `/v1/vaults/cards/tokens/${made}`, { key: harness.tenant.live });
    expect(read.json['data'].value).toBe('canary');
    expect(await shown(use('tokenize', token, { vault: 'cards', value: 'canary' }, inPage()))).toEqual(
      INVALID,
    );
  });

  it.each([
    ['https://evil.example'],
    ['https://shop.example.evil.example'],
    ['http://shop.example'],
    ['https://shop.example:8443'],
    ['null'],
    [''],
  ])('is refused from %j, which can read nothing', async (origin) => {
    const token = await tokenizeToken();
    const answer = await use('tokenize', token, { vault: 'cards', value: 'x' }, inPage(origin));
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([401, undefined]);
    expect((await use('tokenize', token, { vault: 'cards', value: 'x' }, inPage())).status).toBe(201);
  });

  it('is refused without an origin, and for another vault, by name and by id', async () => {
    const token = await tokenizeToken();
    expect(await shown(use('tokenize', token, { vault: 'cards', value: 'x' }))).toEqual(INVALID);
    for (const vault of ['notes', 'none'])
      expect(await shown(use('tokenize', token, { vault, value: 'x' }, inPage()))).toEqual(INVALID);
    const { json } = await harness.call('GET', '/v1/vaults/cards', { key: harness.tenant.live });
    expect((await use('tokenize', token, { vault: json['data'].id, value: 'x' }, inPage())).status).toBe(201);
  });

  it('takes no metadata and no lifetime from a page', async () => {
    const token = await tokenizeToken();
    const body = { vault: 'cards', value: 'x', metadata: { a: 1 }, ttl_seconds: 1 };
    const { status, json } = await use('tokenize', token, body, inPage());
    expect([status, Object.keys(json['fields'])]).toEqual([400, ['metadata', 'ttl_seconds']]);
  });

  it('is 409 of a vault that was switched off, and good again with it', async () => {
    await post('/v1/vaults', { name: 'off' });
    const token = await tokenizeToken({ vault: 'off' });
    const set = (enabled: boolean) =>
      harness.call('PATCH', '/v1/vaults/off', { key: harness.tenant.live, body: { enabled } });
    await set(false);
    expect(await shown(use('tokenize', token, { vault: 'off', value: 'x' }, inPage()))).toEqual([
      409,
      'vault_disabled',
    ]);
    await set(true);
    expect((await use('tokenize', token, { vault: 'off', value: 'x' }, inPage())).status).toBe(201);
  });
});

describe('401', () => {
  it('is one answer for every token that is worth nothing here', async () => {
    const data = await seal('canary');
    const [used, ended] = [await decryptToken(data), await decryptToken(data, { ttl_seconds: 1 })];
    await use('decrypt', used, { data });
    await harness.advance(1_000);
    const good = await decryptToken(data);
    const answers = [
      await use('decrypt', used, { data }),
      await use('decrypt', ended, { data }),
      await use('decrypt', `kct_${'A'.repeat(43)}`, { data }),
      await use('decrypt', `${good}x`, { data }),
      await use('decrypt', good.slice(0, -1), { data }),
      await use('decrypt', 'kct_', { data }),
      await use('decrypt', harness.tenant.live.apiKey, { data }),
      await use('decrypt', await tokenizeToken(), { data }, inPage()),
      await use('detokenize', good, { vault: 'cards', token: 'x' }),
      await use('decrypt', good, { data }, { host: 'globex.localhost' }),
    ];
    const told = answers.map(({ status, json }) => [status, json['error'].type, json['error'].message]);
    expect(told).toEqual(
      Array(answers.length).fill([...INVALID, 'The client token is not valid for this call']),
    );
    expect((await use('decrypt', good, { data }, { host: 'acme.localhost' })).status).toBe(200);
    expect(harness.logLines.join('')).not.toContain(good.slice(4));
  });

  it('asks for a token where there is none, before a byte of the body is read', async () => {
    const call = { payload: '{"a":' };
    const answer = await harness.call('POST', '/v1/client/decrypt', call);
    expect([answer.status, answer.json['error'].type]).toEqual([401, 'authentication_required']);
    expect(await shown(use('decrypt', 'kct_x', undefined, call))).toEqual(INVALID);
  });

  it('becomes 429 to a network that goes on, and to no other', async () => {
    const ip = '2001:db8:77::1';
    const statuses = [];
    for (let n = 0; n <= LIMITS.clientTokenFailuresPerMinute; n++)
      statuses.push((await use('decrypt', 'kct_x', {}, { ip })).status);
    expect(statuses.slice(0, -1)).toEqual(Array(LIMITS.clientTokenFailuresPerMinute).fill(401));
    expect(statuses.at(-1)).toBe(429);
    const data = await seal('canary');
    const token = await decryptToken(data);
    expect((await use('decrypt', token, { data }, { ip: '2001:db8:77::2' })).status).toBe(429);
    expect((await use('decrypt', token, { data }, { ip: '2001:db8:78::1' })).status).toBe(200);
  });
});

describe('pages of other origins', () => {
  it('may ask, since a preflight brings no token, and not at other endpoints', async () => {
    for (const action of ['decrypt', 'detokenize', 'tokenize']) {
      const headers = { origin: 'https://any.example', 'access-control-request-method': 'POST' };
      const answer = await harness.call('OPTIONS', `/v1/client/${action}`, { headers });
      expect([answer.status, answer.text]).toEqual([200, '']);
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'Authorization, Content-Type, KnoxCall-Version',
        'access-control-max-age': '600',
      });
    }
    const other = await harness.call('OPTIONS', '/v1/client-tokens', {});
    expect([other.status, other.headers['access-control-allow-origin']]).toEqual([405, undefined]);
  });

  it('read answers and refusals of decrypt, and of tokenize where they are pinned', async () => {
    const allowed = async (answer: ReturnType<typeof use>) => {
      const { headers } = await answer;
      return [headers['access-control-allow-origin'], headers['vary']];
    };
    const data = await seal('canary');
    const token = await decryptToken(data);
    const page = inPage('https://any.example');
    expect(await allowed(use('decrypt', token, { data }, page))).toEqual(['*', undefined]);
    expect(await allowed(use('decrypt', token, { data }, page))).toEqual(['*', undefined]);
    const used = await tokenizeToken();
    const put = (from: TestCall) => allowed(use('tokenize', used, { vault: 'cards', value: 'x' }, from));
    expect(await put(inPage())).toEqual([SHOP, 'Origin']);
    expect(await put(inPage())).toEqual([SHOP, 'Origin']);
    expect(await put(page)).toEqual([undefined, 'Origin']);
  });
});

describe('a mode', () => {
  it('is that of the token, and of no host of the other one', async () => {
    const key = harness.tenant.test;
    const { json } = await post('/v1/encrypt', { data: 'canary' }, { key });
    const data = json['data'].ciphertext;
    const token = await newToken({ action: 'decrypt', data }, { key });
    for (const host of ['api.localhost', 'acme.localhost'])
      expect(await shown(use('decrypt', token, { data }, { host }))).toEqual([403, 'wrong_key_type']);
    expect((await use('decrypt', token, { data }, { host: 'sandbox.localhost' })).status).toBe(200);
    const live = await newToken({ action: 'decrypt', data });
    expect(await shown(use('decrypt', live, { data }))).toEqual([400, 'decryption_failed']);
  });
});

describe('a maker who could not make it any more', () => {
  const refusedAfter = async (as: As, end: () => Promise<unknown>) => {
    const token = await tokenizeToken({}, as);
    const other = await tokenizeToken({}, as);
    expect((await use('tokenize', other, { vault: 'cards', value: 'x' }, inPage())).status).toBe(201);
    await end();
    return shown(use('tokenize', token, { vault: 'cards', value: 'x' }, inPage()));
  };
  const setStatus = (id: TenantId, subscriptionStatus: 'paused' | 'cancelled' | 'active') =>
    harness.db.transaction((tx) => harness.accounts.changeTenant(tx, id, { subscriptionStatus }));

  it('is a key that was revoked', async () => {
    const made = await post('/v1/api-keys', { name: 'maker' });
    const { id, api_key: key } = made.json['data'];
    const end = () => harness.call('DELETE', `/v1/api-keys/${id}`, { key: harness.tenant.live });
    expect(await refusedAfter({ key }, end)).toEqual(INVALID);
  });

  it('is a key that was revoked while the body came', async () => {
    const made = await post('/v1/api-keys', { name: 'maker' });
    const { id, api_key: key } = made.json['data'];
    const token = await tokenizeToken({}, { key });
    const revoke = () => harness.call('DELETE', `/v1/api-keys/${id}`, { key: harness.tenant.live });
    expect(await useLate('tokenize', token, { vault: 'cards', value: 'x' }, revoke)).toEqual(INVALID);
  });

  it('is a key that has ended', async () => {
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const expires_at = new Date(harness.clock.nowMs() + 60_000).toISOString();
    const body = { name: 'brief', key_type: 'access_key', scopes: ['vaults:tokenize'], expires_at };
    const made = await harness.call('POST', '/admin/api-keys', { token, body });
    const key = made.json['data'].api_key;
    expect(await refusedAfter({ key }, () => harness.advance(60_000))).toEqual(INVALID);
  });

  it('is an access token that was revoked, and one whose key was', async () => {
    const made = await post('/v1/api-keys', { name: 'source' });
    const { id, api_key: apiKey } = made.json['data'];
    const mint = async () => {
      const source = { kind: 'api_key', apiKeyId: id } as const;
      const terms = {
        grantType: 'client_credentials',
        permissions: ['vaults:tokenize'],
        jkt: null,
        familyId: null,
      };
      const scope = { tenantId: harness.tenant.id, sandbox: false };
      return harness.db.transaction((tx) =>
        harness.oauth.tokens.mintIn(
          tx,
          { scope, source, ...terms, ttlSeconds: 60 },
          { ...systemActor(harness.tenant.id) },
        ),
      );
    };
    const [first, second, third] = [await mint(), await mint(), await mint()];
    const as = (token: typeof first) => ({ key: token.accessToken.reveal() });
    const { scope } = harness.callerOf(harness.tenant, 'live').principal;
    const revoke = () =>
      harness.db.transaction((tx) =>
        harness.oauth.tokens.revokeIn(tx, scope, first.id, systemActor(harness.tenant.id)),
      );
    expect(await refusedAfter(as(first), revoke)).toEqual(INVALID);
    expect(await refusedAfter(as(second), () => harness.advance(60_000))).toEqual(INVALID);
    expect(third.tokenType).toBe('Bearer');
    const later = await mint();
    const end = () => harness.call('DELETE', `/v1/api-keys/${id}`, { key: harness.tenant.live });
    expect(apiKey).toMatch(/^tk_live_/);
    expect(await refusedAfter(as(later), end)).toEqual(INVALID);
  });

  it.each(['paused', 'cancelled'] as const)('is one of a tenant that is %s', async (status) => {
    const end = () => setStatus(harness.tenant.id, status);
    expect(await refusedAfter({}, end)).toEqual(INVALID);
    await setStatus(harness.tenant.id, 'active');
  });

  it('is a user who lost its role, or signed out', async () => {
    const token = await harness.signInAs('developer');
    const ask = { action: 'tokenize', vault: 'cards', origins: [SHOP] };
    const made = async () =>
      (await harness.call('POST', '/admin/client-tokens', { token, body: ask })).json['data'].token as string;
    const used = (one: string) => shown(use('tokenize', one, { vault: 'cards', value: 'x' }, inPage()));
    const [first, second, third, late] = [await made(), await made(), await made(), await made()];
    expect(await used(first)).toEqual([201, undefined]);
    const me = await harness.call('GET', '/admin/auth/me', { token });
    const owner = await harness.signIn(harness.tenant.ownerEmail);
    const setRole = async (role: string) => {
      const call = { token: owner, stepUp: await harness.stepUp(owner), body: { role } };
      const path = `/admin/team/${me.json['user'].id}`;
      expect((await harness.call('PATCH', path, call)).status).toBe(200);
    };
    const lower = () => setRole('viewer');
    expect(await useLate('tokenize', late, { vault: 'cards', value: 'x' }, lower)).toEqual(INVALID);
    expect(await used(second)).toEqual(INVALID);
    await setRole('developer');
    expect(await used(second)).toEqual([201, undefined]);
    const { json } = await harness.call('GET', '/admin/auth/sessions', { token });
    const [session] = json['sessions'].filter(({ current }: { current: boolean }) => current);
    expect((await harness.call('DELETE', `/admin/auth/sessions/${session.id}`, { token })).status).toBe(200);
    expect(await used(third)).toEqual(INVALID);
  });
});

describe('two at once', () => {
  it('are one use', async () => {
    for (let round = 0; round < 5; round++) {
      const data = await seal(`canary ${round}`);
      const token = await decryptToken(data);
      const answers = await Promise.all(Array.from({ length: 8 }, () => use('decrypt', token, { data })));
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses).toEqual([200, ...Array(7).fill(401)]);
    }
    const token = await tokenizeToken();
    const before = (await entries('vault.tokenize')).length;
    const all = await Promise.all(
      Array.from({ length: 8 }, () => use('tokenize', token, { vault: 'cards', value: 'x' }, inPage())),
    );
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1);
    // What the slower ones made is undone with them.
    expect((await entries('vault.tokenize')).length).toBe(before + 1);
  });
});

describe('the audit log', () => {
  it('has a row of the making and one of the use, by the maker, from where it was used', async () => {
    const maker = await post('/v1/api-keys', { name: 'maker' });
    const { id, api_key: key } = maker.json['data'];
    const token = await tokenizeToken({}, { key });
    await use('tokenize', token, { vault: 'cards', value: 'canary' }, { ...inPage(), ip: '203.0.113.9' });
    const [made] = await entries('crypto.client_token.create');
    const [used] = await entries('crypto.client_token.use');
    expect(made).toMatchObject({
      resource_type: 'crypto_key',
      details: {
        action: 'tokenize',
        origins: [SHOP],
        vault_id: expect.any(String),
        expires_at: expect.any(String),
      },
    });
    expect(used).toMatchObject({
      resource_type: 'crypto_key',
      resource_id: made.resource_id,
      ip_address: '203.0.113.9',
      details: { action: 'tokenize', origin: SHOP },
    });
    const rows = await harness.db
      .view(auditTables)
      .scoped({ tenantId: harness.tenant.id })
      .selectFrom('audit_logs')
      .select('api_key_id')
      .where('resource_id', '=', made.resource_id)
      .execute();
    expect(rows).toEqual([{ api_key_id: id }, { api_key_id: id }]);
    const text = JSON.stringify([await entries('crypto.*'), await entries('vault.*')]);
    for (const secret of ['canary', token]) expect(text).not.toContain(secret);
  });
});

describe('rows', () => {
  it('hold the hash of the token alone, and go an hour after its end', async () => {
    const token = await tokenizeToken();
    await use('tokenize', token, { vault: 'cards', value: 'x' }, inPage());
    await harness.advance(LIMITS.clientTokenSecondsMax * 1000 + LIMITS.clientTokenKeptMs);
    while ((await harness.clientTokens.removeEnded(100)) === 100);
    expect(await shown(use('tokenize', token, { vault: 'cards', value: 'x' }, inPage()))).toEqual(INVALID);
    expect(await harness.clientTokens.removeEnded(100)).toBe(0);
  });
});
