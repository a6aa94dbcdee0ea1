import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { errors, Provider, type TokenContext } from 'oidc-provider';
import { tcpDialer } from '../platform/egress/dial.js';
import type { EgressDeps } from '../platform/egress/guarded-fetch.js';
import { startDnsServer } from './dns-server.js';
import { createTestCa, startTlsUpstream } from './tls-upstream.js';

/** One call of the token endpoint that the provider has judged. */
export interface TokenCall {
  readonly grantType: string;
  readonly refreshToken: string | undefined;
  /** Null where it gave tokens. */
  readonly error: string | null;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A real authorization server (oidc-provider) behind real TLS on loopback, with refresh tokens that rotate. */
export interface AuthorizationServer {
  /** Of the guard, so that it reaches the server and nothing else. */
  readonly egress: Partial<Omit<EgressDeps, 'clock'>>;
  readonly authUrl: string;
  readonly tokenUrl: string;
  readonly calls: readonly TokenCall[];
  /** Requests that have reached the token endpoint, judged or not. */
  arrived(): number;
  /** Answers the token endpoint in its place; null = itself. */
  answer: Handler | null;
  /** What the token endpoint waits for before it judges; null = nothing. */
  held: Promise<void> | null;
  /** What the person says who is asked. */
  person: 'consents' | 'denies';
  /** A browser at the address, as far as the address that it is sent back to. */
  browse(url: string): Promise<URL>;
  close(): Promise<void>;
}

export const IDP = 'idp.example.com';
export const REDIRECT_ORIGIN = 'http://127.0.0.1:8787';
export const CLIENT_SECRET = 'a client secret with: % and +';
export const ACCOUNT_PASSWORD = 'pässword & more';

export interface AuthorizationServerOptions {
  /** Where the code client may be sent back to. */
  readonly redirectUris?: readonly string[] | 'any';
  readonly accessTokenSeconds?: number;
}

export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<AuthorizationServer> {
  const calls: TokenCall[] = [];
  let arrived = 0;
  const provider = createProvider(options);
  const note = ({ oidc: { params } }: TokenContext, error: string | null) =>
    calls.push({ grantType: params['grant_type'] ?? '', refreshToken: params['refresh_token'], error });
  provider.on('grant.success', (context) => note(context, null));
  provider.on('grant.error', (context, error) => note(context, error.message));
  const serve = provider.callback();
  const ca = await createTestCa();
  const dns = await startDnsServer({ records: { [IDP]: ['127.0.0.1'], 'moved.example.com': ['127.0.0.1'] } });
  const upstream = await startTlsUpstream({
    ca,
    names: [IDP, 'moved.example.com'],
    handler(request, response) {
      const { pathname } = new URL(request.url ?? '/', `https://${IDP}`);
      if (pathname === '/token') void atToken(request, response);
      else if (pathname.startsWith('/interaction/')) void atInteraction(request, response);
      else serve(request, response);
    },
  });

  async function atToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    arrived++;
    await server.held;
    (server.answer ?? serve)(request, response);
  }

  async function atInteraction(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const result =
      server.person === 'denies'
        ? { error: 'access_denied', error_description: '<b>No</b>, said the person' }
        : { login: { accountId: 'alice' } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }

  const server: AuthorizationServer = {
    egress: {
      dnsServers: [dns],
      extraCaPem: ca.caPem,
      allowPrivateUpstreams: '127.0.0.0/8',
      dialer: (target) => tcpDialer({ ...target, port: upstream.port }),
    },
    authUrl: `https://${IDP}/auth`,
    tokenUrl: `https://${IDP}/token`,
    calls,
    arrived: () => arrived,
    answer: null,
    held: null,
    person: 'consents',
    async browse(address) {
      const cookies = new Map<string, string>();
      let url = new URL(address);
      for (let hops = 0; url.hostname === IDP && hops < 10; hops++) {
        const { status, location, setCookies, text } = await visit(url, cookies, upstream.port, ca.caPem);
        for (const line of setCookies) {
          const [pair = ''] = line.split(';');
          cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
        }
        if (location === undefined) throw new Error(`${status} at ${url.pathname}: ${text}`);
        url = new URL(location, url);
      }
      return url;
    },
    async close() {
      await upstream.close();
      await dns.close();
    },
  };
  return server;
}

function createProvider({
  redirectUris: given = [],
  accessTokenSeconds = 3_600,
}: AuthorizationServerOptions): Provider {
  const redirectUris = given === 'any' ? [`${REDIRECT_ORIGIN}/`] : given;
  const client = { client_secret: CLIENT_SECRET, response_types: [], redirect_uris: [] };
  const provider: Provider = new Provider(`https://${IDP}`, {
    clients: [
      {
        ...client,
        client_id: 'code client',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: redirectUris,
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        ...client,
        client_id: 'posting client',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: redirectUris,
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        ...client,
        client_id: 'machine',
        scope: 'api:read',
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        client_id: 'mobile app',
        grant_types: ['password'],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'none',
      },
    ],
    scopes: ['openid', 'offline_access', 'api:read'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId,
      claims: () => ({ sub: accountId }),
    }),
    async loadExistingGrant({ oidc }: { oidc: { client: { clientId: string } } }) {
      const grant = new provider.Grant({ accountId: 'alice', clientId: oidc.client.clientId });
      grant.addOIDCScope('openid offline_access api:read');
      await grant.save();
      return grant;
    },
    cookies: { keys: ['of the tests'] },
    ttl: { AccessToken: accessTokenSeconds, ClientCredentials: accessTokenSeconds },
  });
  // The provider's own rule where URIs are named beforehand: they are the same text.
  if (given === 'any')
    provider.Client.prototype.redirectUriAllowed = (uri) => uri.startsWith(`${REDIRECT_ORIGIN}/`);
  provider.registerGrantType(
    'password',
    async (context) => {
      const { params, client: asking } = context.oidc;
      if (params['username'] !== 'alice' || params['password'] !== ACCOUNT_PASSWORD)
        throw new errors.InvalidGrant('not this person');
      const token = new provider.AccessToken({
        accountId: 'alice',
        client: asking,
        scope: 'openid',
        gty: 'password',
      });
      context.body = {
        access_token: await token.save(),
        expires_in: token.expiration,
        token_type: 'Bearer',
      };
    },
    ['username', 'password', 'scope'],
  );
  return provider;
}

function visit(url: URL, cookies: ReadonlyMap<string, string>, port: number, ca: string) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  return new Promise<{
    status: number;
    location: string | undefined;
    setCookies: readonly string[];
    text: string;
  }>((resolve, reject) => {
    const asked = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        servername: url.hostname,
        ca,
        path: `${url.pathname}${url.search}`,
        headers: { host: url.hostname, ...(cookie !== '' && { cookie }) },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            location: response.headers.location,
            setCookies: response.headers['set-cookie'] ?? [],
            text: Buffer.concat(chunks).toString('utf8').slice(0, 500),
          }),
        );
      },
    );
    asked.on('error', reject).end();
  });
}
