import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditTables } from '../../capabilities/audit-logs/tables.js';
import { systemIds } from '../../platform/crypto/random.js';
import { createProofMaker, type ProofMaker, tokenHash } from '../../testing/dpop-proofs.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basicOfKey, type OAuthCall } from '../../testing/oauth-calls.js';
import { makeClient, openFamily } from '../../testing/oauth-grants.js';
import { createMember } from '../../testing/tenants.js';

/** Access tokens at the token endpoint, the API and the proxy, as Bearer and bound to a key (cases B, D, F of oauth-dpop.md). */
let rig: MatrixRig;
let maker: ProofMaker;
beforeAll(async () => {
  rig = await openMatrixRig();
  maker = createProofMaker();
});
afterAll(() => rig.close());

const ORIGIN = 'http://127.0.0.1:8787';
const VAULTS = `${ORIGIN}/v1/vaults`;
const ALGS = 'algs="[^"]*ES256[^"]*"';

/** Good for that request now. */
function proof(htm: string, htu: string, claims: Record<string, unknown> = {}, of = maker): string {
  return of.make({ htm, htu, iat: Math.floor(rig.clock.nowMs() / 1000), ...claims });
}

async function token(call: OAuthCall = {}): Promise<Record<string, string>> {
  const form = { grant_type: 'client_credentials' };
  const authorization = basicOfKey(rig.tenant.live.apiKey);
  const { json } = await askOAuth(rig.ask, '/oauth/token', { authorization, form, ...call });
  return json;
}

async function boundToken(of = maker): Promise<string> {
  const json = await token({ headers: { dpop: proof('POST', `${ORIGIN}/oauth/token`, {}, of) } });
  expect(json['token_type']).toBe('DPoP');
  return json['access_token']!;
}

const list = (headers: Record<string, string>, host?: string, path = '/v1/vaults') =>
  rig.ask('GET', path, { headers, ...(host && { host }) });
const shown = ({ status, json }: Awaited<ReturnType<typeof list>>) => [status, json.error?.type];

describe('a bearer token', () => {
  it.each([
    ['Bearer', (text: string) => ({ authorization: `Bearer ${text}` })],
    ['B05: bearer in lower case', (text: string) => ({ authorization: `bearer ${text}` })],
    ['x-api-key', (text: string) => ({ 'x-api-key': text })],
    ['B03: both, equal', (text: string) => ({ authorization: `Bearer ${text}`, 'x-api-key': text })],
  ])('is taken as %s', async (_how, headers) => {
    const { access_token = '' } = await token();
    expect(shown(await list(headers(access_token)))).toEqual([200, undefined]);
  });

  it('B03: beside another credential is 400', async () => {
    const { access_token = '' } = await token();
    const headers = { authorization: `Bearer ${access_token}`, 'x-api-key': rig.tenant.live.apiKey };
    expect(shown(await list(headers))).toEqual([400, 'validation_error']);
  });

  it('D49: under the scheme DPoP is 401', async () => {
    const { access_token = '' } = await token();
    const dpop = proof('GET', VAULTS, { ath: tokenHash(access_token) });
    const answer = await list({ authorization: `DPoP ${access_token}`, dpop });
    expect(shown(answer)).toEqual([401, 'invalid_token']);
    expect(answer.json.error.message).toContain('bound to no key: send "Authorization: Bearer <token>"');
  });

  it('D55: in the query is 400, in a body it is no credential', async () => {
    const { access_token = '' } = await token();
    const dpop = proof('GET', VAULTS, { ath: tokenHash(access_token) });
    expect(shown(await list({ dpop }, undefined, `/v1/vaults?access_token=${access_token}`))).toEqual([
      400,
      'validation_error',
    ]);
    const answer = await rig.ask('POST', '/v1/vaults', { headers: { dpop }, body: { access_token } });
    expect(shown(answer)).toEqual([401, 'authentication_required']);
  });

  it('of less scope gets no answer that was kept for one of more', async () => {
    const make = async (scope: string | undefined, body: object = { name: 'made by a token' }) => {
      const { access_token = '' } = await token({
        form: { grant_type: 'client_credentials', ...(scope && { scope }) },
      });
      const headers = { authorization: `Bearer ${access_token}`, 'x-idempotency-key': 'the-same' };
      return rig.ask('POST', '/v1/api-keys', { headers, body });
    };
    const [wide, again, narrow] = [
      await make(undefined),
      await make(undefined),
      await make('api-keys:write'),
    ];
    expect([wide, again, narrow].map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(again.json.data.api_key).toBe(wide.json.data.api_key);
    expect(narrow.json.data.api_key).not.toBe(wide.json.data.api_key);
    expect(narrow.headers['x-idempotent-replay']).toBeUndefined();
  });

  it('is of its tenant, its mode and its time', async () => {
    const { access_token = '' } = await token();
    const headers = { authorization: `Bearer ${access_token}` };
    expect(shown(await list(headers, 'acme.localhost'))).toEqual([200, undefined]);
    expect(shown(await list(headers, 'globex.localhost'))).toEqual([401, 'invalid_token']);
    expect(shown(await list(headers, 'nobody.localhost'))).toEqual([404, 'tenant_not_found']);
    expect(shown(await list(headers, 'sandbox.localhost'))).toEqual([403, 'wrong_key_type']);
    const test = await token({ authorization: basicOfKey(rig.tenant.test.apiKey) });
    expect(shown(await list({ authorization: `Bearer ${test['access_token']}` }, 'api.localhost'))).toEqual([
      403,
      'wrong_key_type',
    ]);
    rig.clock.advance(3_600_000);
    await rig.services.generations.refresh();
    expect(shown(await list(headers))).toEqual([401, 'invalid_token']);
  });

  it.each([
    'kc_live_',
    `kc_live_${'x'.repeat(43)}`,
    `kc_live_a_${'x'.repeat(41)}`,
    `kc_${'x'.repeat(10_000)}`,
  ])('that is none is 401 and says so: %s', async (text) => {
    const answer = await list({ authorization: `Bearer ${text}` });
    expect(shown(answer)).toEqual([401, 'invalid_token']);
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  it('B01: is asked for where there is no credential, with no error code', async () => {
    const answer = await list({});
    expect(shown(answer)).toEqual([401, 'authentication_required']);
    expect(answer.headers['www-authenticate']).toBe('Bearer, DPoP');
  });

  it('of a user reads audit details as the user may', async () => {
    const client = await makeClient(rig, { allowed_scopes: ['audit_log:list'] });
    const viewer = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'viewer');
    const rowsOf = async (email: string) => {
      const permissions = ['audit_log:list'];
      const { accessToken } = await openFamily(rig, client, { email, permissions });
      const { json } = await rig.ask('GET', '/v1/audit-logs?action=oauth_client.create', {
        token: accessToken,
      });
      return json.data[0];
    };
    expect(await rowsOf(rig.tenant.ownerEmail)).toMatchObject({ details: { client_id: client.clientId } });
    expect(await rowsOf(viewer)).toMatchObject({ details: {}, details_redacted: true });
  });

  it('shares idempotency keys with the tokens of its source, and with nobody else', async () => {
    const create = async (call: OAuthCall) => {
      const { access_token = '' } = await token(call);
      const headers = { authorization: `Bearer ${access_token}`, 'x-idempotency-key': 'one' };
      return rig.ask('POST', '/v1/vaults', { headers, body: { name: 'once' } });
    };
    const [first, again] = [await create({}), await create({})];
    expect([first.status, again.status, again.headers['x-idempotent-replay']]).toEqual([201, 201, 'true']);
    expect(again.json.data.id).toBe(first.json.data.id);
    const terms = { grant_types: ['client_credentials'], allowed_scopes: ['vaults:write'] };
    const { authorization } = await makeClient(rig, terms);
    expect(shown(await create({ authorization }))).toEqual([409, 'conflict']);
  });

  it('names its client in the audit row of what it does', async () => {
    const terms = { grant_types: ['client_credentials'], allowed_scopes: ['vaults:write'] };
    const { id, authorization } = await makeClient(rig, terms);
    const { access_token = '' } = await token({ authorization });
    await rig.ask('POST', '/v1/vaults', { token: access_token, body: { name: 'by-a-client' } });
    const row = await rig.db
      .view(auditTables)
      .scoped({ tenantId: rig.tenant.id })
      .selectFrom('audit_logs')
      .select(['oauth_client_id', 'actor_type', 'api_key_id', 'user_id'])
      .where('action', '=', 'vault.create')
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    expect(row).toEqual({ oauth_client_id: id, actor_type: 'oauth_client', api_key_id: null, user_id: null });
  });
});

describe('a bound token', () => {
  it.each([
    ['DPoP', VAULTS, undefined],
    ['D51: dpop', VAULTS, undefined],
    ['D53: with a query in htu', `${VAULTS}?page=1`, '/v1/vaults?page=1'],
  ])('is taken with a proof: %s', async (scheme, htu, path) => {
    const text = await boundToken();
    const dpop = proof('GET', htu, { ath: tokenHash(text) });
    const name = scheme.startsWith('D51') ? 'dpop' : 'DPoP';
    expect(shown(await list({ authorization: `${name} ${text}`, dpop }, undefined, path))).toEqual([
      200,
      undefined,
    ]);
  });

  it.each([
    ['api.localhost', 'http://api.localhost:8787'],
    ['acme.localhost', 'http://acme.localhost:8787'],
    ['attacker.example', ORIGIN],
  ])('D57: htu is of the public origin of %s', async (host, origin) => {
    const text = await boundToken();
    const ask = (base: string) =>
      list(
        { authorization: `DPoP ${text}`, dpop: proof('GET', `${base}/v1/vaults`, { ath: tokenHash(text) }) },
        host,
      );
    expect(shown(await ask(origin))).toEqual([200, undefined]);
    expect(shown(await ask('http://attacker.example'))).toEqual([401, 'invalid_dpop_proof']);
  });

  it('D41: headers of a stranger do not steer htu', async () => {
    const text = await boundToken();
    const dpop = proof('GET', 'https://evil.example/v1/vaults', { ath: tokenHash(text) });
    const forwarded = {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
    };
    expect(shown(await list({ authorization: `DPoP ${text}`, dpop, ...forwarded }))).toEqual([
      401,
      'invalid_dpop_proof',
    ]);
  });

  it('D45: as Bearer or x-api-key is 401, and the answer names the scheme', async () => {
    const text = await boundToken();
    const dpop = proof('GET', VAULTS, { ath: tokenHash(text) });
    const ways: Record<string, string>[] = [{ authorization: `Bearer ${text}` }, { 'x-api-key': text, dpop }];
    for (const headers of ways) {
      const answer = await list(headers);
      expect(shown(answer)).toEqual([401, 'invalid_token']);
      expect(answer.headers['www-authenticate']).toMatch(new RegExp(`^DPoP error="invalid_token", ${ALGS}$`));
    }
  });

  it('D47: with the proof of another key is 401', async () => {
    const text = await boundToken();
    const dpop = proof('GET', VAULTS, { ath: tokenHash(text) }, createProofMaker());
    const answer = await list({ authorization: `DPoP ${text}`, dpop });
    expect(shown(answer)).toEqual([401, 'invalid_token']);
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_token"/);
  });

  it.each<[string, (text: string) => Record<string, string>]>([
    ['none', () => ({})],
    ['one without ath', () => ({ dpop: proof('GET', VAULTS) })],
    ['one with the ath of another token', () => ({ dpop: proof('GET', VAULTS, { ath: tokenHash('x') }) })],
    ['one of another method', (text) => ({ dpop: proof('POST', VAULTS, { ath: tokenHash(text) }) })],
    [
      'D23: one with its method in lower case',
      (text) => ({ dpop: proof('get', VAULTS, { ath: tokenHash(text) }) }),
    ],
    [
      'one of another path',
      (text) => ({ dpop: proof('GET', `${ORIGIN}/v1/roles`, { ath: tokenHash(text) }) }),
    ],
    ['a stale one', (text) => ({ dpop: proof('GET', VAULTS, { ath: tokenHash(text), iat: 1 }) })],
    ['garbage', () => ({ dpop: 'x.y.z' })],
  ])('with a bad proof is 401: %s', async (_what, headers) => {
    const text = await boundToken();
    const answer = await list({ authorization: `DPoP ${text}`, ...headers(text) });
    expect(shown(answer)).toEqual([401, 'invalid_dpop_proof']);
    expect(answer.headers['www-authenticate']).toMatch(
      new RegExp(`^DPoP error="invalid_dpop_proof", ${ALGS}$`),
    );
    expect(answer.json.error.message).toMatch(/^DPoP proof, \w+: /);
  });

  it('takes each proof once, also of twenty at the same time', async () => {
    const text = await boundToken();
    const headers = { authorization: `DPoP ${text}`, dpop: proof('GET', VAULTS, { ath: tokenHash(text) }) };
    const answers = await Promise.all(Array.from({ length: 20 }, () => list(headers)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array<number>(19).fill(401)]);
    expect(shown(await list(headers))).toEqual([401, 'invalid_dpop_proof']);
  });

  it('is refused what it lacks with its own scheme', async () => {
    const dpop = proof('POST', `${ORIGIN}/oauth/token`);
    const form = { grant_type: 'client_credentials', scope: 'log:list' };
    const { access_token: text = '' } = await token({ headers: { dpop }, form });
    const answer = await list({
      authorization: `DPoP ${text}`,
      dpop: proof('GET', VAULTS, { ath: tokenHash(text) }),
    });
    expect(shown(answer)).toEqual([403, 'forbidden']);
    expect(answer.headers['www-authenticate']).toBe('DPoP error="insufficient_scope", scope="vaults:read"');
  });

  it('is taken by the proxy, which asks for a proof of its own address', async () => {
    const text = await boundToken();
    const ask = (htu: string) =>
      rig.ask('GET', '/v1/proxy', {
        headers: { authorization: `DPoP ${text}`, dpop: proof('GET', htu, { ath: tokenHash(text) }) },
      });
    // The next check of its order: it lacks its target.
    expect(shown(await ask(`${ORIGIN}/v1/proxy`))).toEqual([400, 'missing_proxy_url']);
    expect(shown(await ask(VAULTS))).toEqual([401, 'invalid_dpop_proof']);
    const { access_token = '' } = await token();
    const ways: Record<string, string>[] = [
      { authorization: `Bearer ${access_token}` },
      { 'x-api-key': access_token },
    ];
    for (const headers of ways)
      expect(shown(await rig.ask('GET', '/v1/proxy', { headers }))).toEqual([400, 'missing_proxy_url']);
    const form = { grant_type: 'client_credentials', scope: 'vaults:read' };
    const narrow = await token({ form });
    const refused = await rig.ask('GET', '/v1/proxy', { token: narrow['access_token']! });
    expect(shown(refused)).toEqual([403, 'forbidden']);
    expect(refused.headers['www-authenticate']).toContain('insufficient_scope');
  });
});

describe('a proof at the token endpoint', () => {
  const TOKEN = `${ORIGIN}/oauth/token`;
  const ask = (call: OAuthCall) =>
    askOAuth(rig.ask, '/oauth/token', {
      authorization: basicOfKey(rig.tenant.live.apiKey),
      form: { grant_type: 'client_credentials' },
      ...call,
    });

  it('D01: is due where the client says so, and binds then', async () => {
    const terms = { grant_types: ['client_credentials'], require_dpop: true };
    const { authorization } = await makeClient(rig, terms);
    const without = await ask({ authorization });
    expect([without.status, without.json.error]).toEqual([400, 'invalid_dpop_proof']);
    const bound = await ask({ authorization, headers: { dpop: proof('POST', TOKEN) } });
    expect([bound.status, bound.json.token_type]).toEqual([200, 'DPoP']);
  });

  it('D33: is good once, D35: of another key with the same jti it is another', async () => {
    const dpop = proof('POST', TOKEN, { jti: 'one' });
    expect((await ask({ headers: { dpop } })).status).toBe(200);
    const again = await ask({ headers: { dpop } });
    expect([again.status, again.json.error]).toEqual([400, 'invalid_dpop_proof']);
    expect(
      (await ask({ headers: { dpop: proof('POST', TOKEN, { jti: 'one' }, createProofMaker()) } })).status,
    ).toBe(200);
  });

  it('is judged after client and grant type, and before the scope; what is refused after it does not use it up', async () => {
    const bad = { headers: { dpop: 'x' } };
    expect((await ask({ ...bad, authorization: undefined })).json.error).toBe('invalid_client');
    expect((await ask({ ...bad, form: { grant_type: 'nothing' } })).json.error).toBe(
      'unsupported_grant_type',
    );
    const wide = { grant_type: 'client_credentials', scope: 'nothing' };
    expect((await ask({ ...bad, form: wide })).json.error).toBe('invalid_dpop_proof');
    const headers = { dpop: proof('POST', TOKEN) };
    expect((await ask({ headers, form: wide })).json.error).toBe('invalid_scope');
    expect((await ask({ headers })).status).toBe(200);
  });

  it('D37, D39: needs a nonce where the client says so, and is told the next one', async () => {
    const terms = {
      grant_types: ['client_credentials'],
      allowed_scopes: ['vaults:read'],
      require_dpop_nonce: true,
    };
    const { authorization } = await makeClient(rig, terms);
    const without = await ask({ authorization, headers: { dpop: proof('POST', TOKEN) } });
    expect([without.status, without.json.error]).toEqual([400, 'use_dpop_nonce']);
    const nonce = String(without.headers['dpop-nonce']);
    expect(nonce.length).toBeGreaterThan(10);
    const good = await ask({ authorization, headers: { dpop: proof('POST', TOKEN, { nonce }) } });
    expect(good.status).toBe(200);
    rig.clock.advance(60_000);
    await rig.services.generations.refresh();
    const older = await ask({ authorization, headers: { dpop: proof('POST', TOKEN, { nonce }) } });
    expect(older.status).toBe(200);
    expect(String(older.headers['dpop-nonce'])).not.toBe(nonce);
    const text = older.json.access_token;
    const atApi = await list({
      authorization: `DPoP ${text}`,
      dpop: proof('GET', VAULTS, { ath: tokenHash(text) }),
    });
    expect(shown(atApi)).toEqual([401, 'use_dpop_nonce']);
    expect(atApi.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/);
    const next = String(atApi.headers['dpop-nonce']);
    const dpop = proof('GET', VAULTS, { ath: tokenHash(text), nonce: next });
    expect(shown(await list({ authorization: `DPoP ${text}`, dpop }))).toEqual([200, undefined]);
  });

  it('F11: is due for a bound family, of the same key, and a used token replays only to that key', async () => {
    const client = await makeClient(rig, { refresh_grace_seconds: 10 });
    const jkt = await thumbprintOf(maker);
    const { refreshToken } = await openFamily(rig, client, { jkt });
    const refresh = (dpop?: string) =>
      ask({
        authorization: client.authorization,
        form: { grant_type: 'refresh_token', refresh_token: refreshToken },
        ...(dpop !== undefined && { headers: { dpop } }),
      });
    expect((await refresh()).json.error).toBe('invalid_dpop_proof');
    expect((await refresh(proof('POST', TOKEN, {}, createProofMaker()))).json.error).toBe('invalid_grant');
    const first = await refresh(proof('POST', TOKEN));
    expect([first.status, first.json.token_type]).toEqual([200, 'DPoP']);
    expect((await refresh(proof('POST', TOKEN))).text).toBe(first.text);
    const thief = await refresh(proof('POST', TOKEN, {}, createProofMaker()));
    expect(thief.json.error).toBe('invalid_grant');
    expect((await refresh(proof('POST', TOKEN))).json.error).toBe('invalid_grant');
  });
});

/** As introspection tells it of a token that the key is bound to. */
async function thumbprintOf(of: ProofMaker): Promise<string> {
  const text = await boundToken(of);
  const { json } = await askOAuth(rig.ask, '/oauth/introspect', {
    authorization: basicOfKey(rig.tenant.live.apiKey),
    form: { token: text },
  });
  return json.cnf.jkt;
}
