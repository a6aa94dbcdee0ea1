import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ACCESS_TOKEN,
  API,
  errorOf,
  type FederationRig,
  ID_TOKEN,
  openFederationRig,
} from '../../../testing/federation-rig.js';
import { systemActor } from '../../accounts/index.js';

/** Cases X of oauth-dpop.md that go on after the exchange: what it leaves behind, and who is served later. */
const INVALID_GRANT = [400, 'invalid_grant'];
const bare = { aud: 'knoxcall:api' };

let rig: FederationRig;
beforeEach(async () => {
  rig = await openFederationRig();
});
afterEach(() => rig.close());

const list = async (key: string, host = API) => {
  const { status, json } = await rig.call('GET', '/v1/vaults', { key, host });
  return [status, json['error']?.type];
};

describe('X23 a token that is exchanged', () => {
  it('is in every member what it was, and works on', async () => {
    await rig.bind(rig.tenant);
    const first = (await rig.exchange(await rig.assertion())).json['access_token'];
    const before = await rig.oauth.tokens.find(first);
    const second = await rig.exchange(first, { subject_token_type: ACCESS_TOKEN, scope: 'vaults:read' });
    expect(second.status).toBe(200);
    const after = await rig.oauth.tokens.find(first);
    const { state: _before, ...memberBefore } = before!;
    const { state: _after, ...memberAfter } = after!;
    expect(memberAfter).toEqual(memberBefore);
    expect(await list(first)).toEqual([200, undefined]);
    expect(await list(second.json['access_token'])).toEqual([200, undefined]);
  });

  it.each(['an assertion', 'a token of ours'])(
    'that is refused, as %s, leaves no token behind',
    async (what) => {
      await rig.bind(rig.tenant);
      const first = (await rig.exchange(await rig.assertion())).json['access_token'];
      const mints = (await rig.audits('oauth.token.mint')).length;
      const answer =
        what === 'an assertion'
          ? await rig.exchange(await rig.assertion(), { scope: 'crypto:sign' })
          : await rig.exchange(first, { subject_token_type: ACCESS_TOKEN, scope: 'crypto:sign' });
      expect(errorOf(answer)).toEqual([400, 'invalid_scope']);
      expect((await rig.audits('oauth.token.mint')).length).toBe(mints);
      expect(await list(first)).toEqual([200, undefined]);
    },
  );
});

describe('X25 the life of a token', () => {
  it.each([60, 900, 3_600])(
    'is the %i s of its binding by an assertion that ends sooner or later',
    async (ttl_seconds) => {
      await rig.bind(rig.tenant, { ttl_seconds });
      const now = Math.floor(rig.clock.nowMs() / 1000);
      for (const exp of [now + 5, now + 3_000])
        expect((await rig.exchange(await rig.assertion({ exp }))).json['expires_in']).toBe(ttl_seconds);
    },
  );

  it('got for a token got for a token ends with the first', async () => {
    await rig.bind(rig.tenant, { ttl_seconds: 600 });
    let token = (await rig.exchange(await rig.assertion())).json['access_token'];
    for (const left of [500, 400]) {
      await rig.advance(100_000);
      const next = await rig.exchange(token, { subject_token_type: ACCESS_TOKEN });
      expect(next.json['expires_in']).toBe(left);
      token = next.json['access_token'];
    }
    await rig.advance(400_000);
    expect(await list(token)).toEqual([401, 'invalid_token']);
  });
});

describe('X25 the revocation of a token', () => {
  it('is that of all that was got for it, and of nothing that it was got for', async () => {
    await rig.bind(rig.tenant);
    const exchanged = async (token: string): Promise<string> =>
      (await rig.exchange(token, { subject_token_type: ACCESS_TOKEN })).json['access_token'];
    const first = (await rig.exchange(await rig.assertion())).json['access_token'];
    const second = await exchanged(first);
    const third = await exchanged(second);
    const sibling = await exchanged(first);
    const revoke = async (token: string) => {
      const { scope, id } = (await rig.oauth.tokens.find(token))!;
      const actor = systemActor(rig.tenant.id);
      await rig.db.transaction((tx) => rig.oauth.tokens.revokeIn(tx, scope, id, actor));
    };
    for (const token of [first, second, third, sibling]) expect(await list(token)).toEqual([200, undefined]);
    await revoke(second);
    for (const token of [second, third]) expect(await list(token)).toEqual([401, 'invalid_token']);
    for (const token of [first, sibling]) expect(await list(token)).toEqual([200, undefined]);
    await revoke(first);
    for (const token of [first, sibling]) {
      expect(await list(token)).toEqual([401, 'invalid_token']);
      expect(errorOf(await rig.exchange(token, { subject_token_type: ACCESS_TOKEN }))).toEqual(INVALID_GRANT);
    }
  });

  it('beside twenty exchanges of it leaves none alive', async () => {
    await rig.bind(rig.tenant);
    const first = (await rig.exchange(await rig.assertion())).json['access_token'];
    const { scope, id } = (await rig.oauth.tokens.find(first))!;
    const exchange = () => rig.exchange(first, { subject_token_type: ACCESS_TOKEN });
    const exchanges = Array.from({ length: 10 }, exchange);
    const actor = systemActor(rig.tenant.id);
    const revoked = rig.db.transaction((tx) => rig.oauth.tokens.revokeIn(tx, scope, id, actor));
    const answers = await Promise.all([...exchanges, ...Array.from({ length: 10 }, exchange)]);
    expect(await revoked).toBe(true);
    for (const { status, json } of answers) {
      if (status === 200) expect(await list(json['access_token'])).toEqual([401, 'invalid_token']);
      else expect([status, json['error']]).toEqual(INVALID_GRANT);
    }
  });
});

describe('X33, X35 the bare audience of a subject that A has claimed', () => {
  it('is A’s as long as A’s binding is on, nobody’s while it is off, and A’s again', async () => {
    const id = await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    const theirs = await rig.bind(rig.other);
    const served = async () => (await rig.exchange(await rig.assertion(bare))).json['tenant'];
    expect(await served()).toBe('acme');
    await rig.change(rig.other, theirs, { enabled: false });
    expect(await served()).toBe('acme');
    await rig.change(rig.other, theirs, { enabled: true });
    for (let n = 0; n < 3; n++) {
      await rig.change(rig.tenant, id, { enabled: false });
      expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
      await rig.change(rig.tenant, id, { enabled: true });
      expect(await served()).toBe('acme');
    }
  });

  it('is never B’s after A has deleted its binding; B names itself and is served, A binds anew and is', async () => {
    const id = await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    await rig.bind(rig.other, { subject: 'team:payments:*' });
    await rig.bind(rig.other);
    await rig.remove(rig.tenant, id);
    for (let n = 0; n < 5; n++)
      expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
    const named = await rig.exchange(await rig.assertion({ aud: 'knoxcall:api:globex' }));
    expect(named.json['tenant']).toBe('globex');
    expect(errorOf(await rig.exchange(await rig.assertion(bare)))).toEqual(INVALID_GRANT);
    await rig.bind(rig.tenant);
    expect((await rig.exchange(await rig.assertion(bare))).json['tenant']).toBe('acme');
  });

  it('is no other subject’s, which nobody has claimed', async () => {
    await rig.bind(rig.tenant);
    await rig.exchange(await rig.assertion());
    await rig.bind(rig.other, { subject: 'team:payments:cd' });
    const other = await rig.exchange(await rig.assertion({ ...bare, sub: 'team:payments:cd' }));
    expect(other.json['tenant']).toBe('globex');
  });
});

describe('auth.md §12.6 the neighbours of an exchange', () => {
  it('a token of a test binding is of test hosts alone', async () => {
    await rig.bind(rig.tenant, {}, 'test');
    const answer = await rig.exchange(await rig.assertion(), {}, 'sandbox.localhost');
    const token = answer.json['access_token'];
    expect(await list(token, 'sandbox.localhost')).toEqual([200, undefined]);
    expect(await list(token, API)).toEqual([403, 'wrong_key_type']);
    expect(await list(token, 'acme.localhost')).toEqual([403, 'wrong_key_type']);
    expect(errorOf(await rig.exchange(token, { subject_token_type: ACCESS_TOKEN }, API))).toEqual(
      INVALID_GRANT,
    );
  });

  it.each([
    ['an empty resource', { resource: '' }],
    ['the audience of the gateway', { audience: 'knoxcall:gateway' }],
  ])(
    '%s at the management endpoint is invalid_target, and the assertion stays good',
    async (_what, params) => {
      await rig.bind(rig.tenant);
      const assertion = await rig.assertion();
      expect(errorOf(await rig.exchange(assertion, params))).toEqual([400, 'invalid_target']);
      expect((await rig.audits('oidc.exchange')).length).toBe(0);
      expect((await rig.exchange(assertion)).status).toBe(200);
    },
  );

  it('an assertion for the gateway alone gives no management token; one for both does', async () => {
    await rig.bind(rig.tenant);
    for (const host of [API, 'acme.localhost']) {
      const swapped = await rig.assertion({ aud: 'knoxcall:gateway' });
      expect(errorOf(await rig.exchange(swapped, {}, host))).toEqual(INVALID_GRANT);
    }
    const both = await rig.assertion({ aud: ['knoxcall:gateway', 'knoxcall:api'] });
    expect((await rig.exchange(both)).status).toBe(200);
  });

  it('an access token said to be an ID token, and the other way round, is no subject token', async () => {
    await rig.bind(rig.tenant);
    const assertion = await rig.assertion();
    const token = (await rig.exchange(await rig.assertion())).json['access_token'];
    expect(errorOf(await rig.exchange(token, { subject_token_type: ID_TOKEN }))).toEqual(INVALID_GRANT);
    expect(errorOf(await rig.exchange(assertion, { subject_token_type: ACCESS_TOKEN }))).toEqual(
      INVALID_GRANT,
    );
    expect((await rig.exchange(assertion)).status).toBe(200);
  });
});
