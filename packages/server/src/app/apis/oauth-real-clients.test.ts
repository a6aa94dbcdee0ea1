import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { makeClient, openFamily, type TestClient } from '../../testing/oauth-grants.js';

/** Clients that others have written, over a real connection: what they find in the metadata has to work for them. */
let rig: MatrixRig;
let origin = '';
let client: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig({ publicUrl: () => origin });
  origin = await rig.app.listen({ host: '127.0.0.1', port: 0 });
  // Proofs are stamped by the machine's clock.
  rig.clock.advance(Date.now() - rig.clock.nowMs());
  await rig.services.generations.refresh();
  client = await makeClient(rig, { grant_types: ['client_credentials', 'refresh_token'] });
});
afterAll(() => rig.close());

const insecure = { [oauth.allowInsecureRequests]: true };
const scope = 'vaults:read log:list';

describe('oauth4webapi', () => {
  async function discover(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(origin);
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    return oauth.processDiscoveryResponse(issuer, response);
  }

  it.each([
    ['client_secret_basic', () => oauth.ClientSecretBasic(client.secret)],
    ['client_secret_post', () => oauth.ClientSecretPost(client.secret)],
  ])('gets, uses, asks about and revokes a token: %s', async (_method, authentication) => {
    const as = await discover();
    const me = { client_id: client.clientId };
    const form = new URLSearchParams({ scope });
    const response = await oauth.clientCredentialsGrantRequest(as, me, authentication(), form, insecure);
    const { access_token: token, ...rest } = await oauth.processClientCredentialsResponse(as, me, response);
    expect(rest).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope, tenant: 'acme' });

    const url = new URL('/v1/vaults', origin);
    const call = await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, insecure);
    expect(call.status).toBe(200);
    await call.body?.cancel();

    const asked = await oauth.introspectionRequest(as, me, authentication(), token, insecure);
    expect(await oauth.processIntrospectionResponse(as, me, asked)).toMatchObject({
      active: true,
      scope,
      client_id: client.clientId,
      iss: origin,
    });
    const revoked = await oauth.revocationRequest(as, me, authentication(), token, insecure);
    await oauth.processRevocationResponse(revoked);
    const after = await oauth.introspectionRequest(as, me, authentication(), token, insecure);
    expect(await oauth.processIntrospectionResponse(as, me, after)).toEqual({ active: false });
  });

  it('binds a token to its key, and uses it', async () => {
    const as = await discover();
    const me = { client_id: client.clientId };
    const DPoP = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    const options = { ...insecure, DPoP };
    const secret = oauth.ClientSecretBasic(client.secret);
    const response = await oauth.clientCredentialsGrantRequest(
      as,
      me,
      secret,
      new URLSearchParams(),
      options,
    );
    const { access_token: token, token_type } = await oauth.processClientCredentialsResponse(
      as,
      me,
      response,
    );
    expect(token_type).toBe('dpop');
    for (const path of ['/v1/vaults', '/v1/vaults?page=1', '/v1/logs']) {
      const url = new URL(path, origin);
      const call = await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, options);
      expect([path, call.status]).toEqual([path, 200]);
      await call.body?.cancel();
    }
    const asBearer = oauth.protectedResourceRequest(
      token,
      'GET',
      new URL('/v1/vaults', origin),
      undefined,
      undefined,
      insecure,
    );
    await expect(asBearer).rejects.toThrow(oauth.WWWAuthenticateChallengeError);
  });

  it('refreshes a public client, bound to its key, with a nonce that it is told of', async () => {
    const open = await makeClient(rig, { type: 'public', require_dpop_nonce: true });
    const as = await discover();
    const me = { client_id: open.clientId };
    const pair = await oauth.generateKeyPair('ES256');
    const options = { ...insecure, DPoP: oauth.DPoP({}, pair) };
    let { refreshToken } = await openFamily(rig, open, {
      jkt: await oauth.DPoP({}, pair).calculateThumbprint(),
    });
    for (const _ of [1, 2]) {
      const send = () => oauth.refreshTokenGrantRequest(as, me, oauth.None(), refreshToken, options);
      let response = await send();
      const answer = await oauth
        .processRefreshTokenResponse(as, me, response)
        .catch(async (error: unknown) => {
          if (!oauth.isDPoPNonceError(error)) throw error;
          response = await send();
          return oauth.processRefreshTokenResponse(as, me, response);
        });
      expect(answer.token_type).toBe('dpop');
      refreshToken = answer.refresh_token!;
    }
  });

  it('is told what is wrong, in the way of the standard', async () => {
    const as = await discover();
    const me = { client_id: client.clientId };
    const wrong = await oauth.clientCredentialsGrantRequest(
      as,
      me,
      oauth.ClientSecretPost('x'),
      new URLSearchParams(),
      insecure,
    );
    await expect(oauth.processClientCredentialsResponse(as, me, wrong)).rejects.toMatchObject({
      error: 'invalid_client',
    });
    const form = new URLSearchParams({ scope: 'pki:write' });
    const secret = oauth.ClientSecretBasic(client.secret);
    const wide = await oauth.clientCredentialsGrantRequest(as, me, secret, form, insecure);
    await expect(oauth.processClientCredentialsResponse(as, me, wide)).rejects.toMatchObject({
      error: 'invalid_scope',
    });
  });
});

describe('openid-client', () => {
  const discover = (clientId: string, secret: string) =>
    openid.discovery(new URL(origin), clientId, secret, undefined, {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests],
    });

  it('gets, asks about and revokes tokens of a client', async () => {
    const config = await discover(client.clientId, client.secret);
    const { access_token: token, scope: granted } = await openid.clientCredentialsGrant(config, { scope });
    expect(granted).toBe(scope);
    expect(await openid.tokenIntrospection(config, token)).toMatchObject({ active: true, tenant: 'acme' });
    const call = await openid.fetchProtectedResource(config, token, new URL('/v1/vaults', origin), 'GET');
    expect(call.status).toBe(200);
    await call.body?.cancel();
    await openid.tokenRevocation(config, token);
    expect((await openid.tokenIntrospection(config, token)).active).toBe(false);
  });

  it('takes an API key as its client, cut at its id', async () => {
    const { keyId, apiKey } = rig.tenant.live;
    const config = await discover(keyId, apiKey.slice(keyId.length + 1));
    const { access_token: token } = await openid.clientCredentialsGrant(config);
    expect(await openid.tokenIntrospection(config, token)).toMatchObject({ active: true, client_id: keyId });
  });

  it('refreshes, and is out after the second use of a refresh token', async () => {
    const config = await discover(client.clientId, client.secret);
    const family = await openFamily(rig, client);
    const next = await openid.refreshTokenGrant(config, family.refreshToken);
    expect((await openid.tokenIntrospection(config, next.access_token)).active).toBe(true);
    await expect(openid.refreshTokenGrant(config, family.refreshToken)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await expect(openid.refreshTokenGrant(config, next.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    expect((await openid.tokenIntrospection(config, next.access_token)).active).toBe(false);
  });

  it('binds tokens to its key', async () => {
    const config = await discover(client.clientId, client.secret);
    const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
    const { access_token: token, token_type } = await openid.clientCredentialsGrant(config, undefined, {
      DPoP: handle,
    });
    expect(token_type).toBe('dpop');
    const url = new URL('/v1/vaults', origin);
    const call = await openid.fetchProtectedResource(config, token, url, 'GET', undefined, undefined, {
      DPoP: handle,
    });
    expect(call.status).toBe(200);
    await call.body?.cancel();
  });
});

describe('the dpop package', () => {
  it.each(['ES256', 'Ed25519', 'RS256', 'PS256'] as const)(
    'makes proofs that are taken: %s',
    async (algorithm) => {
      const pair = await dpop.generateKeyPair(algorithm);
      const response = await fetch(`${origin}/oauth/token`, {
        method: 'POST',
        headers: {
          authorization: client.authorization!,
          dpop: await dpop.generateProof(pair, `${origin}/oauth/token`, 'POST'),
        },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const { access_token: token, token_type } = (await response.json()) as Record<string, string>;
      expect([response.status, token_type]).toEqual([200, 'DPoP']);
      const url = `${origin}/v1/vaults`;
      const proof = await dpop.generateProof(pair, url, 'GET', undefined, token);
      const call = () => fetch(`${url}?page=1`, { headers: { authorization: `DPoP ${token}`, dpop: proof } });
      expect([(await call()).status, (await call()).status]).toEqual([200, 401]);
    },
  );
});
