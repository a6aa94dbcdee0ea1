import { createOAuthApi } from '../app/apis/oauth-api.js';
import { createHosts } from '../platform/http/hosts.js';
import type { JsonTree, TestAnswer } from './calls.js';
import { createHarness, type Harness, type HarnessOptions } from './harness.js';
import { type OidcIssuers, startOidcIssuers, type TestIssuer } from './oidc-issuers.js';
import type { TestTenant } from './tenants.js';

export const ISSUER = 'https://idp.example.net/ci';
export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

type Texts = Readonly<Record<string, string>>;
export type Claims = Readonly<Record<string, unknown>>;

/** The server with two tenants, and issuers that it reaches over the real guard. */
export interface FederationRig extends Harness {
  readonly issuers: OidcIssuers;
  readonly issuer: TestIssuer;
  /** What a workload has in its token; times are those of the clock. */
  claims(more?: Claims): Claims;
  /** A signed assertion with these claims. */
  assertion(more?: Claims): Promise<string>;
  bind(tenant: TestTenant, more?: object, mode?: 'live' | 'test'): Promise<string>;
  change(tenant: TestTenant, id: string, changes: object): Promise<void>;
  remove(tenant: TestTenant, id: string): Promise<void>;
  /** `POST /oauth/token`, the parameters of an exchange filled in. */
  exchange(assertion: string, params?: Texts, host?: string, headers?: Texts): Promise<TestAnswer>;
  form(path: string, params: Texts, host?: string, headers?: Texts): Promise<TestAnswer>;
  audits(action: string): Promise<JsonTree[]>;
}

const NAMES = ['idp.example.net', 'keys.example.net', 'token.actions.githubusercontent.com'];
export const API = 'api.localhost';

export async function openFederationRig(options: HarnessOptions = {}): Promise<FederationRig> {
  const issuers = await startOidcIssuers(NAMES);
  const harness = await createHarness({
    ...options,
    egress: issuers.egress,
    extend(app, { oauth, origins }) {
      const hosts = createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] });
      app.register(createOAuthApi({ hosts, origins, oauth }));
    },
  });
  const issuer = issuers.at(ISSUER);
  let made = 0;

  const claims = (more: Claims = {}): Claims => {
    const now = Math.floor(harness.clock.nowMs() / 1000);
    return {
      iss: ISSUER,
      sub: 'team:payments:ci',
      aud: 'knoxcall:api:acme',
      iat: now,
      exp: now + 300,
      jti: String(++made),
      ...more,
    };
  };
  const form: FederationRig['form'] = (path, params, host = API, headers = {}) =>
    harness.call('POST', path, {
      host,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: new URLSearchParams(params).toString(),
    });
  async function done(answer: Promise<TestAnswer>): Promise<JsonTree> {
    const { status, text, json } = await answer;
    if (status >= 300) throw new Error(`${status} ${text}`);
    return json['data'];
  }

  return {
    ...harness,
    issuers,
    issuer,
    claims,
    assertion: (more) => issuer.sign(claims(more)),
    async bind(tenant, more = {}, mode = 'live') {
      const body = {
        issuer: ISSUER,
        subject: 'team:payments:ci',
        scopes: ['vaults:read', 'proxy:invoke'],
        ...more,
      };
      return (await done(harness.call('POST', '/v1/oidc-bindings', { key: tenant[mode], body })))['id'];
    },
    async change(tenant, id, body) {
      await done(harness.call('PATCH', `/v1/oidc-bindings/${id}`, { key: tenant.live, body }));
    },
    async remove(tenant, id) {
      await done(harness.call('DELETE', `/v1/oidc-bindings/${id}`, { key: tenant.live }));
    },
    form,
    exchange: (subject_token, params = {}, host = API, headers = {}) =>
      form(
        '/oauth/token',
        {
          grant_type: EXCHANGE,
          subject_token,
          subject_token_type: ID_TOKEN,
          audience: 'knoxcall:api',
          ...params,
        },
        host,
        headers,
      ),
    audits: (action) =>
      done(
        harness.call('GET', `/v1/audit-logs?action=${action}&per_page=100`, { key: harness.tenant.live }),
      ) as Promise<JsonTree[]>,
    async close() {
      await harness.close();
      await issuers.close();
    },
  };
}

export const errorOf = ({ status, json }: TestAnswer) => [status, json['error']];
