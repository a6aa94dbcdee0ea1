import type { IncomingMessage, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { tcpDialer } from '../platform/egress/dial.js';
import type { EgressDeps } from '../platform/egress/guarded-fetch.js';
import { startDnsServer, type TestDnsServer } from './dns-server.js';
import { createTestCa, startTlsUpstream, type TlsUpstream } from './tls-upstream.js';

type Key = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

export interface AssertionOptions {
  readonly alg?: string;
  readonly kid?: string;
  /** Beside `alg` and `kid`. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** In place of the issuer's own. */
  readonly key?: Key | Uint8Array;
}

/** An OpenID Connect issuer of the tests' own: its documents over real HTTPS, its tokens signed with real keys. */
export interface TestIssuer {
  readonly issuer: string;
  /** Paths that were asked for. */
  readonly asked: string[];
  /** Answers in place of the documents; null = the documents. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  /** Members of the discovery document that are not as they should be. */
  discovery: Readonly<Record<string, unknown>>;
  /** What the key set holds. */
  readonly keys: JWK[];
  /** Signs with a key of that algorithm, which the set holds from then on. */
  sign(claims: Readonly<Record<string, unknown>>, options?: AssertionOptions): Promise<string>;
  /** A new key takes the place of all that were there. */
  rotate(): void;
}

export interface OidcIssuers {
  /** Of the guard, so that it reaches them and nothing else. */
  readonly egress: Partial<Omit<EgressDeps, 'clock'>>;
  readonly dns: TestDnsServer;
  readonly upstream: TlsUpstream;
  /** Made at the first call; the same from then on. */
  at(issuer: string): TestIssuer;
  close(): Promise<void>;
}

const DISCOVERY = '/.well-known/openid-configuration';
const KEYS = '/keys';

/** All of them on one loopback server, whatever port their address has; the names are those that it is given. */
export async function startOidcIssuers(names: readonly string[]): Promise<OidcIssuers> {
  const issuers = new Map<string, TestIssuer>();
  const ca = await createTestCa();
  const dns = await startDnsServer({
    records: Object.fromEntries(names.map((name) => [name, ['127.0.0.1']])),
  });
  const upstream = await startTlsUpstream({ ca, names, handler: serve });

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const address = `https://${request.headers.host}${request.url}`;
    const issuer = [...issuers.values()].find(({ issuer }) => address.startsWith(issuer.replace(/\/$/, '')));
    const base = issuer?.issuer.replace(/\/$/, '');
    issuer?.asked.push(address.slice(base!.length));
    if (issuer?.answer) issuer.answer(request, response);
    else if (issuer && address === `${base}${DISCOVERY}`)
      json(response, { issuer: issuer.issuer, jwks_uri: `${base}${KEYS}`, ...issuer.discovery });
    else if (issuer && address === `${base}${KEYS}`) json(response, { keys: issuer.keys });
    else response.writeHead(404).end();
  }

  return {
    egress: {
      dnsServers: [dns],
      extraCaPem: ca.caPem,
      allowPrivateUpstreams: '127.0.0.0/8',
      dialer: (target) => tcpDialer({ ...target, port: upstream.port }),
    },
    dns,
    upstream,
    at(issuer) {
      const made = issuers.get(issuer) ?? createIssuer(issuer);
      issuers.set(issuer, made);
      return made;
    },
    async close() {
      await upstream.close();
      await dns.close();
    },
  };
}

function createIssuer(issuer: string): TestIssuer {
  const keys: JWK[] = [];
  let generation = 1;
  let signing = new Map<string, Promise<Key>>();

  function keyOf(alg: string, kid: string): Promise<Key> {
    const known = signing.get(kid) ?? newKey(alg, kid);
    signing.set(kid, known);
    return known;
  }

  async function newKey(alg: string, kid: string): Promise<Key> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' });
    return privateKey;
  }

  return {
    issuer,
    asked: [],
    answer: null,
    discovery: {},
    keys,
    async sign(claims, { alg = 'ES256', kid = `${alg}-${generation}`, header = {}, key } = {}) {
      const signingKey = key ?? (await keyOf(alg, kid));
      return new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(signingKey);
    },
    rotate() {
      generation++;
      keys.length = 0;
      signing = new Map();
    },
  };
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
