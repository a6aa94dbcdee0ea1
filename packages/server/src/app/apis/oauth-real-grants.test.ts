import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { walkConsent } from '../../testing/consent-walk.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { makeClient, type TestClient } from '../../testing/oauth-grants.js';
import { createPageVisitor } from '../../testing/page-visitor.js';
import { OWNER_PASSWORD } from '../../testing/tenants.js';

/** The grants of users and workloads by clients that others have written, over a real connection. */
const REDIRECT = 'https://app.example.com/cb';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const scope = 'vaults:read log:list';

let rig: MatrixRig;
let origin = '';
/** Both may do all that a user can consent to. */
let confidential: TestClient;
let open: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig({ publicUrl: () => origin });
  origin = await rig.app.listen({ host: '127.0.0.1', port: 0 });
  // Proofs are stamped by the machine's clock.
  rig.clock.advance(Date.now() - rig.clock.nowMs());
  await rig.services.generations.refresh();
  const grant_types = ['authorization_code', 'refresh_token', DEVICE];
  const terms = { grant_types: [...grant_types, 'client_credentials'], redirect_uris: [REDIRECT] };
  confidential = await makeClient(rig, terms);
  open = await makeClient(rig, { ...terms, type: 'public', grant_types });
});
afterAll(() => rig.close());

const clients: [string, () => TestClient][] = [
  ['confidential', () => confidential],
  ['public', () => open],
];
const statusOf = async (response: Response): Promise<number> => {
  await response.body?.cancel();
  return response.status;
};

async function approveDevice(userCode: string): Promise<void> {
  const visitor = createPageVisitor(rig.ask);
  const page = await visitor.get('/oauth/activate');
  await visitor.press(page, 'sign_in', { email: rig.tenant.ownerEmail, password: OWNER_PASSWORD });
  const asked = await visitor.get(`/oauth/activate?user_code=${userCode}`);
  expect((await visitor.press(asked, 'approve')).status).toBe(200);
}

describe('oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const authenticate = ({ secret }: TestClient) => (secret ? oauth.ClientSecretBasic(secret) : oauth.None());

  async function discover(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(origin);
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    return oauth.processDiscoveryResponse(issuer, response);
  }

  interface Options extends oauth.DPoPRequestOptions {
    readonly [oauth.allowInsecureRequests]?: boolean;
  }

  /** From the metadata to the answer of the token endpoint; the library checks `state` and `iss`. */
  async function codeGrant(by: TestClient, options: Options, more: Record<string, string> = {}) {
    const [as, me] = [await discover(), { client_id: by.clientId }];
    const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
    const url = new URL(as.authorization_endpoint!);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: by.clientId,
      redirect_uri: REDIRECT,
      scope,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    }).toString();
    const params = oauth.validateAuthResponse(as, me, await walkConsent(rig, url), state);
    const send = () =>
      oauth.authorizationCodeGrantRequest(as, me, authenticate(by), params, REDIRECT, verifier, options);
    const tokens = await oauth.processAuthorizationCodeResponse(as, me, await send());
    return { as, me, tokens, send };
  }

  const use = async (token: string, options: Options) => {
    const url = new URL('/v1/vaults', origin);
    return statusOf(await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, options));
  };

  it.each(clients)('code with PKCE, refresh and revocation of a %s client', async (_type, of) => {
    const by = of();
    const { as, me, tokens, send } = await codeGrant(by, insecure);
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope, tenant: 'acme' });
    expect(await use(tokens.access_token, insecure)).toBe(200);
    const refresh = (token: string) =>
      oauth
        .refreshTokenGrantRequest(as, me, authenticate(by), token, insecure)
        .then((response) => oauth.processRefreshTokenResponse(as, me, response));
    const next = await refresh(tokens.refresh_token!);
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
    const revoke = await oauth.revocationRequest(as, me, authenticate(by), next.refresh_token!, insecure);
    await oauth.processRevocationResponse(revoke);
    await expect(refresh(next.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant', status: 400 });
    await expect(use(next.access_token, insecure)).rejects.toThrow(oauth.WWWAuthenticateChallengeError);
    const again = oauth.processAuthorizationCodeResponse(as, me, await send());
    await expect(again).rejects.toMatchObject({ error: 'invalid_grant', status: 400 });
  });

  it.each(clients)('code and refresh bound to a key, of a %s client', async (_type, of) => {
    const by = of();
    const pair = await oauth.generateKeyPair('ES256');
    const DPoP = oauth.DPoP({}, pair);
    const options = { ...insecure, DPoP };
    const dpop_jkt = await DPoP.calculateThumbprint();
    const { as, me, tokens } = await codeGrant(by, options, { dpop_jkt });
    expect(tokens.token_type).toBe('dpop');
    expect(await use(tokens.access_token, options)).toBe(200);
    await expect(use(tokens.access_token, insecure)).rejects.toThrow(oauth.WWWAuthenticateChallengeError);
    const refresh = async (with_: Options) => {
      const token = tokens.refresh_token!;
      const response = await oauth.refreshTokenGrantRequest(as, me, authenticate(by), token, with_);
      return oauth.processRefreshTokenResponse(as, me, response);
    };
    const other = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    await expect(refresh({ ...insecure, DPoP: other })).rejects.toMatchObject({ error: 'invalid_grant' });
    await expect(refresh(insecure)).rejects.toMatchObject({ error: 'invalid_dpop_proof' });
    const next = await refresh(options);
    expect([next.token_type, await use(next.access_token, options)]).toEqual(['dpop', 200]);
  });

  it('a denial, in the way of the standard', async () => {
    const as = await discover();
    const verifier = oauth.generateRandomCodeVerifier();
    const url = new URL(as.authorization_endpoint!);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: open.clientId,
      redirect_uri: REDIRECT,
      state: 'state',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString();
    const back = await walkConsent(rig, url, 'deny');
    expect(() => oauth.validateAuthResponse(as, { client_id: open.clientId }, back, 'state')).toThrow(
      oauth.AuthorizationResponseError,
    );
    back.searchParams.set('iss', 'https://other.example');
    expect(() => oauth.validateAuthResponse(as, { client_id: open.clientId }, back, 'state')).toThrow(
      /"iss"/,
    );
  });

  it.each(clients)('device flow of a %s client', async (_type, of) => {
    const by = of();
    const [as, me] = [await discover(), { client_id: by.clientId }];
    const params = new URLSearchParams({ scope });
    const begun = await oauth.processDeviceAuthorizationResponse(
      as,
      me,
      await oauth.deviceAuthorizationRequest(as, me, authenticate(by), params, insecure),
    );
    const poll = async () => {
      const { device_code } = begun;
      const response = await oauth.deviceCodeGrantRequest(as, me, authenticate(by), device_code, insecure);
      return oauth.processDeviceCodeResponse(as, me, response);
    };
    await expect(poll()).rejects.toMatchObject({ error: 'authorization_pending' });
    await expect(poll()).rejects.toMatchObject({ error: 'slow_down' });
    await approveDevice(begun.user_code);
    // No further than proofs of the machine's clock are taken for.
    rig.clock.advance(12_000);
    await rig.services.generations.refresh();
    const tokens = await poll();
    expect(tokens).toMatchObject({ scope, refresh_token: expect.any(String) });
    expect(await use(tokens.access_token, insecure)).toBe(200);
    await expect(poll()).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('token exchange, as a grant of its own', async () => {
    const [as, me] = [await discover(), { client_id: confidential.clientId }];
    const secret = oauth.ClientSecretBasic(confidential.secret);
    const first = await oauth.processClientCredentialsResponse(
      as,
      me,
      await oauth.clientCredentialsGrantRequest(as, me, secret, new URLSearchParams({ scope }), insecure),
    );
    const exchange = async (more: Record<string, string>) => {
      const params = new URLSearchParams({
        subject_token: first.access_token,
        subject_token_type: ACCESS_TOKEN,
        audience: 'knoxcall:api',
        ...more,
      });
      const response = await oauth.genericTokenEndpointRequest(as, me, secret, EXCHANGE, params, insecure);
      return oauth.processGenericTokenEndpointResponse(as, me, response);
    };
    const narrow = await exchange({ scope: 'vaults:read' });
    expect(narrow).toMatchObject({ scope: 'vaults:read', issued_token_type: ACCESS_TOKEN, tenant: 'acme' });
    expect(await use(narrow.access_token, insecure)).toBe(200);
    await expect(exchange({ scope: 'pki:write' })).rejects.toMatchObject({ error: 'invalid_scope' });
    await expect(exchange({ subject_token: 'x' })).rejects.toMatchObject({ error: 'invalid_grant' });
    await expect(exchange({ audience: 'knoxcall:gateway' })).rejects.toMatchObject({
      error: 'invalid_target',
    });
  });
});

describe('openid-client', () => {
  const discover = ({ clientId, secret }: TestClient) =>
    openid.discovery(
      new URL(origin),
      clientId,
      undefined,
      secret ? openid.ClientSecretPost(secret) : openid.None(),
      { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] },
    );
  const use = async (config: openid.Configuration, token: string, options?: openid.DPoPOptions) => {
    const url = new URL('/v1/vaults', origin);
    return statusOf(
      await openid.fetchProtectedResource(config, token, url, 'GET', undefined, undefined, options),
    );
  };

  async function codeGrant(config: openid.Configuration, options?: openid.DPoPOptions) {
    const [verifier, state] = [openid.randomPKCECodeVerifier(), openid.randomState()];
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope,
      state,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(options?.DPoP && { dpop_jkt: await options.DPoP.calculateThumbprint() }),
    });
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    return openid.authorizationCodeGrant(config, await walkConsent(rig, url), checks, undefined, options);
  }

  it.each(clients)('code with PKCE, refresh and revocation of a %s client', async (_type, of) => {
    const config = await discover(of());
    const tokens = await codeGrant(config);
    expect(tokens).toMatchObject({ token_type: 'bearer', scope, tenant: 'acme' });
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token!, { scope: 'log:list' });
    expect(next.scope).toBe('log:list');
    await openid.tokenRevocation(config, next.refresh_token!, { token_type_hint: 'refresh_token' });
    const refreshed = openid.refreshTokenGrant(config, next.refresh_token!);
    await expect(refreshed).rejects.toMatchObject({ error: 'invalid_grant' });
    await expect(use(config, tokens.access_token)).rejects.toThrow();
  });

  it.each(clients)('code and refresh bound to a key, of a %s client', async (_type, of) => {
    const config = await discover(of());
    const options = { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) };
    const tokens = await codeGrant(config, options);
    expect([tokens.token_type, await use(config, tokens.access_token, options)]).toEqual(['dpop', 200]);
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token!, undefined, options);
    expect([next.token_type, await use(config, next.access_token, options)]).toEqual(['dpop', 200]);
    const unbound = openid.refreshTokenGrant(config, next.refresh_token!);
    await expect(unbound).rejects.toMatchObject({ error: 'invalid_dpop_proof' });
  });

  it('device flow, bound to a key', async () => {
    const config = await discover(open);
    const options = { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) };
    const begun = await openid.initiateDeviceAuthorization(config, { scope });
    await approveDevice(begun.user_code);
    const tokens = await openid.pollDeviceAuthorizationGrant(
      config,
      { ...begun, interval: 0 },
      undefined,
      options,
    );
    expect([tokens.token_type, await use(config, tokens.access_token, options)]).toEqual(['dpop', 200]);
  });

  it('token exchange, as a grant of its own', async () => {
    const config = await discover(confidential);
    const { access_token: subject_token } = await openid.clientCredentialsGrant(config, { scope });
    const exchanged = await openid.genericGrantRequest(config, EXCHANGE, {
      subject_token,
      subject_token_type: ACCESS_TOKEN,
      scope: 'log:list',
    });
    expect(exchanged).toMatchObject({ scope: 'log:list', issued_token_type: ACCESS_TOKEN });
    expect((await openid.tokenIntrospection(config, exchanged.access_token)).active).toBe(true);
  });
});
