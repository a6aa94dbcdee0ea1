import { generateKeyPair } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { createProofMaker } from '../../../testing/dpop-proofs.js';
import {
  ACCESS_TOKEN,
  API,
  errorOf,
  type FederationRig,
  ID_TOKEN,
  ISSUER,
  openFederationRig,
} from '../../../testing/federation-rig.js';

const INVALID_GRANT = [400, 'invalid_grant'];

let rig: FederationRig;
beforeEach(async () => {
  rig = await openFederationRig();
});
afterEach(() => rig.close());

const find = (token: string) => rig.oauth.tokens.find(token);

describe('a workload gets a token', () => {
  it('of the binding, by its assertion alone', async () => {
    const id = await rig.bind(rig.tenant);
    const answer = await rig.exchange(await rig.assertion());
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json).toEqual({
      access_token: expect.stringMatching(/^kc_live_[\w-]{43}$/),
      token_type: 'Bearer',
      expires_in: 3_600,
      scope: 'proxy:invoke vaults:read',
      issued_token_type: ACCESS_TOKEN,
      tenant: 'acme',
    });
    const token = await find(answer.json['access_token']);
    expect(token).toMatchObject({
      source: { kind: 'binding', bindingId: id },
      scope: { tenantId: rig.tenant.id, sandbox: false },
      familyId: null,
    });
    expect((await rig.audits('oidc.exchange'))[0]).toMatchObject({
      resource_type: 'oidc_binding',
      resource_id: id,
      details: { issuer: ISSUER, subject: 'team:payments:ci', oauth_token_id: token!.id, sandbox: false },
    });
    const row = await rig.call('GET', `/v1/oidc-bindings/${id}`, { key: rig.tenant.live });
    expect(row.json['data'].last_used_at).toBe('2026-01-15T09:30:00.000Z');
  });

  it.each(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'])('signed with %s', async (alg) => {
    await rig.bind(rig.tenant);
    const answer = await rig.exchange(await rig.issuer.sign(rig.claims(), { alg }));
    expect(answer.status).toBe(200);
  });

  it('of a job of GitHub Actions, with the audience that SDKs ask for', async () => {
    const github = rig.issuers.at('https://token.actions.githubusercontent.com');
    const subject = 'repo:acme/shop:ref:refs/heads/main';
    await rig.bind(rig.tenant, { issuer: github.issuer, subject, claims: { repository_owner_id: '65' } });
    const job = (more = {}) =>
      github.sign(
        rig.claims({
          iss: github.issuer,
          sub: subject,
          aud: 'knoxcall:api',
          repository: 'acme/shop',
          repository_owner_id: '65',
          runner_environment: 'github-hosted',
          ...more,
        }),
        { alg: 'RS256', header: { typ: 'JWT', x5t: 'x' } },
      );
    expect((await rig.exchange(await job())).json['tenant']).toBe('acme');
    for (const stranger of [{ sub: 'repo:mallory/shop:ref:refs/heads/main' }, { repository_owner_id: '66' }])
      expect(errorOf(await rig.exchange(await job(stranger)))).toEqual(INVALID_GRANT);
  });

  it('X25 that lives as its binding says, whatever the assertion’s end', async () => {
    await rig.bind(rig.tenant, { ttl_seconds: 600 });
    const exp = Math.floor(rig.clock.nowMs() / 1000) + 30;
    expect((await rig.exchange(await rig.assertion({ exp }))).json['expires_in']).toBe(600);
  });

  it('with less in its scope where it asks for less, and X21 never more', async () => {
    await rig.bind(rig.tenant);
    const less = await rig.exchange(await rig.assertion(), { scope: 'vaults:read' });
    expect(less.json['scope']).toBe('vaults:read');
    expect(errorOf(await rig.exchange(await rig.assertion(), { scope: 'vaults:read vaults:write' }))).toEqual(
      [400, 'invalid_scope'],
    );
  });

  it('that is dead once the binding is off or gone, and does less once that gives less', async () => {
    const id = await rig.bind(rig.tenant);
    const token = (await rig.exchange(await rig.assertion())).json['access_token'];
    await rig.change(rig.tenant, id, { scopes: ['vaults:read'] });
    expect((await find(token))?.state.may('proxy:invoke')).toBe(false);
    await rig.change(rig.tenant, id, { enabled: false });
    expect(await find(token)).toBeUndefined();
    await rig.change(rig.tenant, id, { enabled: true });
    expect(await find(token)).toBeDefined();
    await rig.remove(rig.tenant, id);
    expect(await find(token)).toBeUndefined();
  });

  it('X27 bound to the key of a proof that comes with it', async () => {
    await rig.bind(rig.tenant);
    const keys = createProofMaker();
    const proofOf = (maker = keys) => {
      const htu = 'http://api.localhost:8787/oauth/token';
      return { dpop: maker.make({ htm: 'POST', htu, iat: Math.floor(rig.clock.nowMs() / 1000) }) };
    };
    const proof = proofOf();
    const answer = await rig.exchange(await rig.assertion(), {}, API, proof);
    expect(answer.json['token_type']).toBe('DPoP');
    expect((await find(answer.json['access_token']))?.jkt).toMatch(/^[\w-]{43}$/);
    // Good once, and a proof that was spent uses up no assertion.
    const assertion = await rig.assertion();
    expect(errorOf(await rig.exchange(assertion, {}, API, proof))).toEqual([400, 'invalid_dpop_proof']);
    expect((await rig.exchange(assertion)).status).toBe(200);
    // Whoever holds a bound token and not its key gets no other for it.
    const own = { subject_token_type: ACCESS_TOKEN };
    const bound = answer.json['access_token'];
    expect(errorOf(await rig.exchange(bound, own))).toEqual([400, 'invalid_dpop_proof']);
    expect(errorOf(await rig.exchange(bound, own, API, proofOf(createProofMaker())))).toEqual(INVALID_GRANT);
    expect((await rig.exchange(bound, own, API, proofOf())).json['token_type']).toBe('DPoP');
  });

  it('that the API takes, as far as the binding goes, and at once no more when that is off', async () => {
    const id = await rig.bind(rig.tenant);
    const key = (await rig.exchange(await rig.assertion())).json['access_token'];
    const list = (path: string) => rig.call('GET', path, { key });
    expect((await list('/v1/vaults')).status).toBe(200);
    expect((await list('/v1/oidc-bindings')).status).toBe(403);
    await rig.change(rig.tenant, id, { scopes: ['oidc-bindings:read', 'vaults:read'] });
    // The scope of the token does not grow with its binding.
    expect((await list('/v1/oidc-bindings')).status).toBe(403);
    await rig.change(rig.tenant, id, { enabled: false });
    expect((await list('/v1/vaults')).status).toBe(401);
  });

  it('of the most specific binding', async () => {
    await rig.bind(rig.tenant, { subject: 'team:payments:*', scopes: ['vaults:read'] });
    const exact = await rig.bind(rig.tenant, { scopes: ['proxy:invoke'] });
    expect((await rig.exchange(await rig.assertion())).json['scope']).toBe('proxy:invoke');
    await rig.change(rig.tenant, exact, { enabled: false });
    expect((await rig.exchange(await rig.assertion())).json['scope']).toBe('vaults:read');
  });

  it('by the claims that the binding asks for', async () => {
    await rig.bind(rig.tenant, { subject: null, claims: { repository_id: ['74', '75'], protected: 'true' } });
    const good = { repository_id: 75, protected: true };
    expect((await rig.exchange(await rig.assertion(good))).status).toBe(200);
    for (const claims of [{}, { ...good, protected: false }, { ...good, repository_id: [75] }])
      expect(errorOf(await rig.exchange(await rig.assertion(claims)))).toEqual(INVALID_GRANT);
  });
});

describe('the request', () => {
  beforeEach(() => rig.bind(rig.tenant));

  it.each([
    ['X01 no subject_token', { subject_token: '' }, 'invalid_request'],
    ['no subject_token_type', { subject_token_type: '' }, 'invalid_request'],
    ['a subject_token_type that is none', { subject_token_type: `${ID_TOKEN}s` }, 'invalid_request'],
    ['a SAML assertion', { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 'invalid_request'],
    ['X03 another requested type', { requested_token_type: ID_TOKEN }, 'invalid_request'],
    ['an actor', { actor_token: 'x', actor_token_type: ACCESS_TOKEN }, 'invalid_request'],
    ['X11 the audience of the gateway', { audience: 'knoxcall:gateway' }, 'invalid_target'],
    ['the audience of the assertion', { audience: 'knoxcall:api:acme' }, 'invalid_target'],
    ['X13 a resource with a fragment', { resource: 'https://a.example/#b' }, 'invalid_target'],
    ['X13 a resource that is not absolute', { resource: '/v1/mcp/x' }, 'invalid_target'],
    ['a resource of the gateway', { resource: 'https://acme.example/v1/mcp/x' }, 'invalid_target'],
    ['an empty resource', { resource: '' }, 'invalid_target'],
  ])('%s', async (_name, params, code) => {
    expect(errorOf(await rig.exchange(await rig.assertion(), params))).toEqual([400, code]);
    // Nothing was used up.
    expect((await rig.audits('oidc.exchange')).length).toBe(0);
  });

  it('without an audience, or with that of the management API and the type said, is taken', async () => {
    const taken: Record<string, string>[] = [{ audience: '' }, { requested_token_type: ACCESS_TOKEN }];
    for (const params of taken) expect((await rig.exchange(await rig.assertion(), params)).status).toBe(200);
  });

  it('at the gateway’s endpoint gets what the contract has for a plane that is away', async () => {
    const send = async (params: Record<string, string>) =>
      rig.form(
        '/v1/oauth/token',
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: await rig.assertion({ aud: 'knoxcall:gateway' }),
          subject_token_type: ID_TOKEN,
          ...params,
        },
        'acme.localhost',
      );
    const answer = await send({ audience: 'knoxcall:gateway' });
    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('30');
    expect(answer.json).toMatchObject({ error: 'ai_gateway_unavailable', code: 'ai_gateway_unavailable' });
    const targets: Record<string, string>[] = [
      { audience: 'knoxcall:api' },
      {},
      { audience: 'knoxcall:gateway', resource: '' },
      { audience: 'knoxcall:gateway', resource: 'https://a.example/#b' },
    ];
    for (const params of targets) expect(errorOf(await send(params))).toEqual([400, 'invalid_target']);
  });
});

describe('the assertion', () => {
  beforeEach(() => rig.bind(rig.tenant));
  const now = () => Math.floor(rig.clock.nowMs() / 1000);

  it.each<[string, () => Record<string, unknown>]>([
    ['X09 expired', () => ({ exp: now() - 61 })],
    ['X09 without exp', () => ({ exp: undefined })],
    ['X09 nbf ahead', () => ({ nbf: now() + 61 })],
    ['iat ahead', () => ({ iat: now() + 61 })],
    ['iat more than an hour ago', () => ({ iat: now() - 3_661 })],
    ['without iat', () => ({ iat: undefined })],
    ['exp that is a text', () => ({ exp: String(now() + 60) })],
    ['exp that is beyond all time', () => ({ exp: 1e300 })],
    ['without sub', () => ({ sub: undefined })],
    ['sub that is no text', () => ({ sub: 7 })],
    ['sub with half of a surrogate pair', () => ({ sub: 'team:payments:ci\ud800' })],
    ['without aud', () => ({ aud: undefined })],
    ['aud that is no text', () => ({ aud: [7] })],
    ['aud of somebody else', () => ({ aud: ['https://sts.example'] })],
    ['X15 another sub', () => ({ sub: 'team:payments:cd' })],
    ['another case of sub', () => ({ sub: 'team:payments:CI' })],
    ['without iss', () => ({ iss: undefined })],
    ['iss with a slash more', () => ({ iss: `${ISSUER}/` })],
  ])('%s: invalid_grant', async (_name, more) => {
    // Named, so that an audience that names nobody is not what refuses it.
    const answer = await rig.exchange(await rig.assertion(more()), { tenant: 'acme' });
    expect(errorOf(answer)).toEqual(INVALID_GRANT);
    expect(answer.json['error_description']).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  });

  it.each<[string, () => Record<string, unknown>]>([
    ['at the edges of the times', () => ({ exp: now() - 59, nbf: now() + 60, iat: now() - 3_660 })],
    ['with a clock that is a minute ahead', () => ({ iat: now() + 60, exp: now() + 360 })],
    ['with several audiences', () => ({ aud: ['https://sts.example', 'knoxcall:api:acme'] })],
    ['with times that have fractions', () => ({ iat: now() - 0.5, exp: now() + 60.25 })],
  ])('%s: 200', async (_name, more) => {
    expect((await rig.exchange(await rig.assertion(more()))).status).toBe(200);
  });

  it('X05 garbage, no algorithm, a shared secret and a stranger’s key: invalid_grant', async () => {
    const good = await rig.assertion();
    const [head = '', body = '', tail = ''] = good.split('.');
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const secret = Buffer.from(JSON.stringify(rig.issuer.keys[0]));
    const stranger = await generateKeyPair('ES256');
    const refused = [
      'garbage',
      '..',
      `${head}.${body}`,
      `${head}.${body}.`,
      `${good}.x`,
      `${head}.${body}=.${tail}`,
      `${head}.${part('text')}.${tail}`,
      `${head}.${part([1])}.${tail}`,
      `${head}.${Buffer.from('{"a":"\xff"}', 'latin1').toString('base64url')}.${tail}`,
      `${part({ alg: 'none' })}.${body}.`,
      `${part({ alg: 'none' })}.${body}.${tail}`,
      `${part({ alg: 'ES256', kid: 'ES256-1', crit: ['x'], x: 1 })}.${body}.${tail}`,
      await rig.issuer.sign(rig.claims(), { alg: 'HS256', kid: 'ES256-1', key: secret }),
      await rig.issuer.sign(rig.claims(), { key: stranger.privateKey }),
      await rig.issuer.sign(rig.claims(), { header: { typ: 'dpop+jwt' } }),
      await rig.issuer.sign(rig.claims({ pad: 'x'.repeat(LIMITS.oidcAssertionBytesMax) })),
      await rig.issuer.sign(
        rig.claims(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`c${n}`, n]))),
      ),
      `${head}.${part(rig.claims({ sub: 'team:payments:ci', more: true }))}.${tail}`,
      `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    ];
    for (const assertion of refused) expect(errorOf(await rig.exchange(assertion))).toEqual(INVALID_GRANT);
    expect((await rig.exchange(good)).status).toBe(200);
  });

  it('signed with a key of another kind than its algorithm: invalid_grant', async () => {
    await rig.issuer.sign(rig.claims(), { alg: 'RS256', kid: 'one' });
    const { privateKey } = await generateKeyPair('ES256');
    const crossed = await rig.issuer.sign(rig.claims(), { alg: 'ES256', kid: 'one', key: privateKey });
    expect(errorOf(await rig.exchange(crossed))).toEqual(INVALID_GRANT);
  });

  it('is good once, whatever the tenant and the endpoint, and however its signature is written', async () => {
    const assertion = await rig.assertion();
    expect((await rig.exchange(assertion)).status).toBe(200);
    expect(errorOf(await rig.exchange(assertion))).toEqual(INVALID_GRANT);
    // n - s is as good a signature as s (RFC 6979 is no help): it must not make another assertion.
    const [head, body, tail = ''] = assertion.split('.');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const bytes = Buffer.from(tail, 'base64url');
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    const answer = await rig.exchange(`${head}.${body}.${twin.toString('base64url')}`);
    expect(errorOf(answer)).toEqual(INVALID_GRANT);
    expect(answer.json['error_description']).toContain('presented before');
    expect((await rig.audits('oidc.exchange')).length).toBe(1);
  });

  it('is not used up by an exchange that fails', async () => {
    const assertion = await rig.assertion();
    expect(errorOf(await rig.exchange(assertion, { scope: 'crypto:sign' }))).toEqual([400, 'invalid_scope']);
    expect((await rig.exchange(assertion)).status).toBe(200);
  });

  it('that is refused is told to its tenant, as often as a minute allows', async () => {
    await rig.exchange(await rig.assertion({ sub: 'team:payments:cd' }));
    await rig.exchange(await rig.assertion(), { scope: 'crypto:sign' });
    const [scope, binding] = await rig.audits('oidc.exchange_denied');
    expect(scope!['details']).toMatchObject({ check: 'invalid_scope', signature_verified: true });
    expect(binding).toMatchObject({
      resource_type: 'oidc_binding',
      resource_id: null,
      details: { check: 'binding', issuer: ISSUER, subject: 'team:payments:cd', signature_verified: false },
    });
    for (let n = 0; n < 30; n++) await rig.exchange(await rig.assertion({ sub: 'team:payments:cd' }));
    expect((await rig.audits('oidc.exchange_denied')).length).toBe(20);
    await rig.advance(60_000);
    await rig.exchange(await rig.assertion({ sub: 'team:payments:cd' }));
    expect((await rig.audits('oidc.exchange_denied')).length).toBe(21);
  });
});

describe('the tenant', () => {
  const bare = { aud: 'knoxcall:api' };
  const text = async (assertion: string, params?: Record<string, string>, host?: string) =>
    (await rig.exchange(assertion, params, host)).json['error_description'];

  it('X29 that the audience names is the one, before and after another adds, disables and deletes its own', async () => {
    await rig.bind(rig.tenant);
    const acme = async () => (await rig.exchange(await rig.assertion())).json['tenant'];
    expect(await acme()).toBe('acme');
    const theirs = await rig.bind(rig.other);
    expect(await acme()).toBe('acme');
    await rig.change(rig.other, theirs, { enabled: false });
    expect(await acme()).toBe('acme');
    await rig.remove(rig.other, theirs);
    expect(await acme()).toBe('acme');
  });

  it('is named by the field or the host as well', async () => {
    await rig.bind(rig.tenant);
    await rig.bind(rig.other);
    expect((await rig.exchange(await rig.assertion(bare), { tenant: 'globex' })).json['tenant']).toBe(
      'globex',
    );
    expect((await rig.exchange(await rig.assertion(bare), {}, 'acme.localhost')).json['tenant']).toBe('acme');
    expect((await rig.exchange(await rig.assertion(), { tenant: 'acme' }, 'acme.localhost')).status).toBe(
      200,
    );
  });

  it('X37 that is named in two ways is refused', async () => {
    await rig.bind(rig.tenant);
    await rig.bind(rig.other);
    expect(errorOf(await rig.exchange(await rig.assertion(), { tenant: 'globex' }))).toEqual(INVALID_GRANT);
    expect(errorOf(await rig.exchange(await rig.assertion(), {}, 'globex.localhost'))).toEqual(INVALID_GRANT);
    expect(
      errorOf(await rig.exchange(await rig.assertion(bare), { tenant: 'acme' }, 'globex.localhost')),
    ).toEqual(INVALID_GRANT);
    const both = { aud: ['knoxcall:api:acme', 'knoxcall:api:globex'] };
    expect(errorOf(await rig.exchange(await rig.assertion(both)))).toEqual(INVALID_GRANT);
  });

  it('X07 with the issuer at another tenant only gets no hint of that', async () => {
    const unknown = await text(await rig.assertion());
    await rig.bind(rig.other);
    expect(unknown).toBe(`No OIDC binding for the issuer ${ISSUER}`);
    expect(await text(await rig.assertion())).toBe(unknown);
    expect(await text(await rig.assertion({ aud: 'knoxcall:api:nobody' }))).toBe(unknown);
    expect(rig.issuer.asked.filter((path) => path === '/keys')).toEqual([]);
  });

  it('alone with a binding that matches serves the bare audience', async () => {
    await rig.bind(rig.other, { subject: 'team:payments:cd' });
    await rig.bind(rig.tenant);
    const answer = await rig.exchange(await rig.assertion(bare));
    expect([answer.status, answer.json['tenant']]).toEqual([200, 'acme']);
  });

  it('alone with a binding by claims serves it too, whatever others have of the same issuer', async () => {
    await rig.bind(rig.other, { subject: null, claims: { repository_id: ['76'], environment: 'prod' } });
    await rig.bind(rig.tenant, { subject: null, claims: { repository_id: ['74', '75'] } });
    const acme = await rig.exchange(
      await rig.assertion({ ...bare, repository_id: '75', environment: 'prod' }),
    );
    expect(acme.json['tenant']).toBe('acme');
    const nobody = { ...bare, repository_id: '77', environment: 'prod' };
    expect(errorOf(await rig.exchange(await rig.assertion(nobody)))).toEqual(INVALID_GRANT);
  });

  it('X31 of several for an unclaimed subject is none, and the text says how to name one', async () => {
    const nobody = await text(await rig.assertion(bare));
    await rig.bind(rig.tenant);
    await rig.bind(rig.other, { subject: 'team:payments:*' });
    const answer = await rig.exchange(await rig.assertion(bare));
    expect(errorOf(answer)).toEqual(INVALID_GRANT);
    expect(answer.json['error_description']).toContain('knoxcall:api:<tenant slug>');
    // Whether there are several, one or none is nothing that a stranger learns.
    expect(answer.json['error_description']).toBe(nobody);
  });

  it('X33 that claimed the subject is served in the bare form', async () => {
    await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    await rig.bind(rig.other);
    for (let n = 0; n < 2; n++)
      expect((await rig.exchange(await rig.assertion(bare))).json['tenant']).toBe('acme');
  });

  it('X35 that switched its binding off, or deleted it, hands its workload to nobody', async () => {
    const id = await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    await rig.bind(rig.other);
    await rig.change(rig.tenant, id, { enabled: false });
    expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
    await rig.remove(rig.tenant, id);
    expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
    await rig.advance(1_000);
    rig.clock.advance(LIMITS.oidcBindingKeptMs);
    await rig.oidcBindings.removeEnded(100);
    expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
  });

  it('with an unclaimed subject counts for 90 days after it deleted its binding, and while that is off', async () => {
    const id = await rig.bind(rig.tenant);
    await rig.change(rig.tenant, id, { enabled: false });
    await rig.bind(rig.other);
    const globex = async () => (await rig.exchange(await rig.assertion(bare))).json['tenant'];
    expect(await globex()).toBeUndefined();
    await rig.remove(rig.tenant, id);
    expect(await globex()).toBeUndefined();
    rig.clock.advance(LIMITS.oidcBindingKeptMs);
    expect(await globex()).toBe('globex');
  });

  it('claims a subject by its signed audience alone, and only when the exchange goes through', async () => {
    const id = await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion(bare), { tenant: 'acme' });
    await rig.exchange(await rig.assertion({ exp: 1 }));
    await rig.remove(rig.tenant, id);
    await rig.bind(rig.other);
    await rig.exchange(await rig.assertion({ aud: 'knoxcall:api:globex' }));
    expect((await rig.exchange(await rig.assertion(bare))).json['tenant']).toBe('globex');
  });

  it('cannot take over a subject that another claimed', async () => {
    await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    await rig.bind(rig.other);
    const theirs = await rig.exchange(await rig.assertion({ aud: 'knoxcall:api:globex' }));
    expect(theirs.json['tenant']).toBe('globex');
    expect((await rig.exchange(await rig.assertion(bare))).json['tenant']).toBe('acme');
  });

  it('has bindings for each mode: the host decides, on a plain address the binding', async () => {
    await rig.bind(rig.tenant, { scopes: ['vaults:read'] }, 'test');
    expect(errorOf(await rig.exchange(await rig.assertion()))).toEqual(INVALID_GRANT);
    const inTest = await rig.exchange(await rig.assertion(), {}, 'sandbox.localhost');
    expect(inTest.json['access_token']).toMatch(/^kc_test_/);
    const plain = (more?: Record<string, unknown>) =>
      rig.assertion(more).then((one) => rig.exchange(one, {}, '127.0.0.1:8787'));
    for (const more of [{}, bare]) expect((await plain(more)).json['access_token']).toMatch(/^kc_test_/);
    const id = await rig.bind(rig.tenant);
    for (const more of [{}, bare]) expect((await plain(more)).json['access_token']).toMatch(/^kc_live_/);
    await rig.change(rig.tenant, id, { enabled: false });
    for (const more of [{}, bare]) expect(errorOf(await plain(more))).toEqual(INVALID_GRANT);
  });

  it('that is paused gets nothing', async () => {
    await rig.bind(rig.tenant);
    await rig.db.transaction((tx) =>
      rig.accounts.changeTenant(tx, rig.tenant.id, { subscriptionStatus: 'paused' }),
    );
    expect(errorOf(await rig.exchange(await rig.assertion()))).toEqual([403, 'unauthorized_client']);
  });
});
