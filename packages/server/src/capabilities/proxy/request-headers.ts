import type { ProxyMode } from '../../kernel/proxy-mode.js';
import { Secret } from '../../kernel/secret.js';
import { splitAuthorization } from '../../platform/http/authorization.js';
import { judgedOnce, withoutNamed } from './header-fates.js';

/** What becomes of an inbound header (dataplane §1.2, §5.2). */
type Fate =
  | 'forward'
  | 'strip'
  | 'connection'
  | 'content-type'
  | 'content-encoding'
  | 'content-length'
  | 'transfer-encoding'
  | 'accept-encoding'
  | 'authorization'
  | 'dpop'
  | 'x-api-key'
  | 'cookie'
  | 'via'
  | 'expect'
  | 'origin'
  | 'idempotency-key'
  | 'knoxcall-key'
  | 'knoxcall-route'
  | 'knoxcall-environment'
  | 'proxy-url'
  | 'timeout'
  | 'mode'
  | 'dry-run'
  | 'encrypted'
  | 'upstream-authorization'
  | 'upstream-auth-secret'
  | 'upstream-auth-scheme';

const FATES: ReadonlyMap<string, Fate> = new Map<string, Fate>([
  ['connection', 'connection'],
  ...[
    'keep-alive',
    'te',
    'trailer',
    'trailers',
    'upgrade',
    'proxy-connection',
    'proxy-authorization',
    'proxy-authenticate',
    'http2-settings',
    'host',
    'knoxcall-version',
    'forwarded',
    // With which proxies tell of the caller's certificate (clients-pki.md §8.3): from nobody a proof for the upstream.
    'client-cert',
    'client-cert-chain',
  ].map((name) => [name, 'strip'] as const),
  ['content-type', 'content-type'],
  ['content-encoding', 'content-encoding'],
  ['content-length', 'content-length'],
  ['transfer-encoding', 'transfer-encoding'],
  ['accept-encoding', 'accept-encoding'],
  ['dpop', 'dpop'],
  ['authorization', 'authorization'],
  ['x-api-key', 'x-api-key'],
  ['cookie', 'cookie'],
  ['via', 'via'],
  ['expect', 'expect'],
  ['x-knoxcall-origin', 'origin'],
  ['x-idempotency-key', 'idempotency-key'],
  ['x-knoxcall-key', 'knoxcall-key'],
  ['x-knoxcall-route', 'knoxcall-route'],
  ['x-knoxcall-environment', 'knoxcall-environment'],
  ['x-knox-proxy-url', 'proxy-url'],
  ['x-knox-timeout-ms', 'timeout'],
  ['x-knox-proxy-mode', 'mode'],
  ['x-knox-dry-run', 'dry-run'],
  ['x-knox-encrypted', 'encrypted'],
  ['x-knox-upstream-authorization', 'upstream-authorization'],
  ['x-knox-upstream-auth-secret', 'upstream-auth-secret'],
  ['x-knox-upstream-auth-scheme', 'upstream-auth-scheme'],
]);

/** What only an ephemeral call is told by. */
const ROUTE_STRIPS: ReadonlySet<Fate> = new Set<Fate>([
  'proxy-url',
  'timeout',
  'mode',
  'encrypted',
  'upstream-authorization',
  'upstream-auth-secret',
  'upstream-auth-scheme',
]);

const STRIPPED_PREFIXES = [
  'x-knox-',
  'x-knoxcall-',
  'x-forwarded-',
  'cloudfront-viewer-cert-',
  'x-amzn-mtls-clientcert',
];

function fateOf(name: string): Fate {
  const lower = name.toLowerCase();
  const known = FATES.get(lower);
  if (known !== undefined) return known;
  const hyphened = hyphensOf(lower);
  const isStripped =
    FATES.get(hyphened) === 'strip' || STRIPPED_PREFIXES.some((prefix) => hyphened.startsWith(prefix));
  return isStripped ? 'strip' : 'forward';
}

/** What CGI and WSGI make one name of, upstream: there `Client_Cert` is `Client-Cert` (RFC 3875 §4.1.18). */
export function hyphensOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

const knownFateOf = judgedOnce(fateOf);
export const knownHyphensOf = judgedOnce(hyphensOf);

/** Ours by shape: such a key never leaves, whatever authenticated the call. */
function isOwnCredential(value: string): boolean {
  // RFC 9110 §5.3: a list in one line is the same as several lines.
  return value.split(',').some((part) => /^\s*(tk_|kc_|wkt_|AKE)/.test(part));
}

/** What authenticates a route call or is refused; any other credential is the upstream's (dataplane §5.2, auth.md §1.4). */
const KNOXCALL_CREDENTIAL = /^\s*(?:tk_[A-Za-z0-9]+_|kc_(?:live|test)_|AKE[A-Za-z0-9]+_)/;

function isOurAuthorization(value: string): boolean {
  const { scheme, credential } = splitAuthorization(value);
  return (scheme === 'bearer' || scheme === 'dpop') && KNOXCALL_CREDENTIAL.test(credential);
}

/** Cookies of our own host, which a browser adds by itself; the others are meant for the upstream. */
function foreignCookies(header: string): string {
  if (!header.includes('knox')) return header;
  return header
    .split(';')
    .map((cookie) => cookie.trim())
    .filter((cookie) => !/^(__Host-|__Secure-)?knox/i.test(cookie))
    .join('; ');
}

/** The inbound head, read in one pass: what goes on, and what was said to us. */
export class RequestHeaders {
  /** Flat name, value list of what goes upstream as it came. */
  forward: string[] = [];
  contentType: string | null = null;
  contentEncoding: string | null = null;
  contentLength: number | null = null;
  isChunked = false;
  expectsContinue = false;
  isFromSdkIntercept = false;
  via = '';
  proxyUrl: string | null = null;
  timeoutMs: string | null = null;
  mode: string | null = null;
  dryRun: string | null = null;
  /** How a route call names route and environment; null where it does not. */
  route: string | null = null;
  environment: string | null = null;
  encrypted: string | null = null;
  upstreamAuthorization: Secret<string> | null = null;
  upstreamAuthSecret: string | null = null;
  upstreamAuthScheme: string | null = null;
  /** A header that may stand once and stood twice. */
  repeated: string | null = null;
  /** Flat name, value list of what may name the caller, a proof of possession with it. */
  #credentials: string[] = [];
  #foreignApiKeys: string[] = [];
  #hasAuthorization = false;
  /** Proofs of possession: ours to see where the credential is ours. */
  readonly #proofs: string[] = [];
  readonly #mode: ProxyMode;
  /** Names of headers that are for this hop alone, each with a comma behind it. */
  #hopNames = '';

  /** `certificateHeader`: that of `KNOX_CLIENT_CERT_HEADER`. */
  constructor(
    rawHeaders: readonly string[],
    certificateHeader: string | null = null,
    mode: ProxyMode = 'ephemeral',
  ) {
    this.#mode = mode;
    for (let i = 0; i < rawHeaders.length; i += 2) this.#take(rawHeaders[i]!, rawHeaders[i + 1]!);
    if (this.#proofs.length > 0) this.#placeProofs();
    if (this.#hasAuthorization) for (const key of this.#foreignApiKeys) this.forward.push('x-api-key', key);
    if (this.#hopNames !== '') this.#stripNamed();
    if (certificateHeader !== null) this.#stripSpellings(hyphensOf(certificateHeader));
  }

  /**
   * What names the caller: beside `Authorization`, an `x-api-key` of foreign shape is the upstream's (case P06) and no
   * second credential of ours.
   */
  get credentials(): readonly string[] {
    if (this.#hasAuthorization || this.#mode === 'route') return this.#credentials;
    return [...this.#credentials, ...this.#foreignApiKeys.flatMap((key) => ['x-api-key', key])];
  }

  /** Whether the call shows anything that only KnoxCall could know. */
  get hasCredential(): boolean {
    return this.#credentials.length > 0;
  }

  get hasBody(): boolean {
    return this.isChunked || (this.contentLength !== null && this.contentLength > 0);
  }

  #take(name: string, value: string): void {
    const fate = knownFateOf(name);
    if (this.#mode === 'route' && this.#takeOfRoute(fate, name, value)) return;
    switch (fate) {
      case 'forward':
      case 'accept-encoding':
        this.forward.push(name, value);
        return;
      case 'content-type':
        if (this.contentType !== null) this.repeated ??= 'content-type';
        this.contentType = value;
        this.forward.push(name, value);
        return;
      case 'content-encoding':
        this.contentEncoding = this.contentEncoding === null ? value : `${this.contentEncoding}, ${value}`;
        this.forward.push(name, value);
        return;
      case 'content-length':
        this.contentLength = Number(value);
        return;
      case 'transfer-encoding':
        this.isChunked = true;
        return;
      case 'connection':
        this.#takeConnection(value);
        return;
      case 'dpop':
        this.#proofs.push(name, value);
        return;
      case 'authorization':
        this.#hasAuthorization = true;
        this.#credentials.push(name, value);
        return;
      case 'x-api-key':
        if (isOwnCredential(value)) this.#credentials.push(name, value);
        else this.#foreignApiKeys.push(value);
        return;
      case 'cookie': {
        const cookies = foreignCookies(value);
        if (cookies !== '') this.forward.push(name, cookies);
        return;
      }
      case 'via':
        this.via = this.via === '' ? value : `${this.via}, ${value}`;
        return;
      case 'expect':
        this.expectsContinue = value.toLowerCase() === '100-continue';
        return;
      case 'origin':
        this.isFromSdkIntercept = value === 'sdk-intercept';
        return;
      case 'proxy-url':
        this.proxyUrl = this.#only('x-knox-proxy-url', this.proxyUrl, value);
        return;
      case 'timeout':
        this.timeoutMs = this.#only('x-knox-timeout-ms', this.timeoutMs, value);
        return;
      case 'mode':
        this.mode = this.#only('x-knox-proxy-mode', this.mode, value);
        return;
      case 'dry-run':
        this.dryRun = this.#only('x-knox-dry-run', this.dryRun, value);
        return;
      case 'encrypted':
        this.encrypted = this.#only('x-knox-encrypted', this.encrypted, value);
        return;
      case 'upstream-authorization':
        this.upstreamAuthorization = this.#only(
          'x-knox-upstream-authorization',
          this.upstreamAuthorization,
          new Secret(value),
        );
        return;
      case 'upstream-auth-secret':
        this.upstreamAuthSecret = this.#only('x-knox-upstream-auth-secret', this.upstreamAuthSecret, value);
        return;
      case 'upstream-auth-scheme':
        this.upstreamAuthScheme = this.#only('x-knox-upstream-auth-scheme', this.upstreamAuthScheme, value);
        return;
      case 'idempotency-key':
      case 'knoxcall-key':
      case 'knoxcall-route':
      case 'knoxcall-environment':
      case 'strip':
        return;
    }
  }

  /** What a route call treats in another way; false where it is as in every call. */
  #takeOfRoute(fate: Fate, name: string, value: string): boolean {
    switch (fate) {
      case 'authorization':
        if (!isOurAuthorization(value)) {
          this.forward.push(name, value);
          return true;
        }
        this.#hasAuthorization = true;
        this.#credentials.push(name, value);
        return true;
      case 'x-api-key':
        if (KNOXCALL_CREDENTIAL.test(value)) this.#credentials.push(name, value);
        else this.forward.push(name, value);
        return true;
      case 'knoxcall-key':
        this.#credentials.push('x-api-key', value);
        return true;
      case 'knoxcall-route':
        this.route = this.#only('x-knoxcall-route', this.route, value);
        return true;
      case 'knoxcall-environment':
        this.environment = this.#only('x-knoxcall-environment', this.environment, value);
        return true;
      case 'idempotency-key':
        this.forward.push(name, value);
        return true;
      default:
        return ROUTE_STRIPS.has(fate);
    }
  }

  #placeProofs(): void {
    const isOurs = this.#mode === 'ephemeral' || this.#hasAuthorization;
    (isOurs ? this.#credentials : this.forward).push(...this.#proofs);
  }

  /** Of a header that may come once: the last one stands, and that it came again is told. */
  #only<T>(name: string, known: T | null, given: T): T {
    if (known !== null) this.repeated ??= name;
    return given;
  }

  #takeConnection(value: string): void {
    const lower = value.toLowerCase();
    if (lower !== 'keep-alive' && lower !== 'close') this.#hopNames += `${lower},`;
  }

  /** RFC 9110 §7.6.1: what `Connection` names is for this hop only. Headers that we add come later and stay. */
  #stripNamed(): void {
    const named = new Set(this.#hopNames.split(',').map((name) => name.trim()));
    this.forward = withoutNamed(this.forward, named);
  }

  #stripSpellings(hyphened: string): void {
    const spellings = this.forward.filter((name, i) => i % 2 === 0 && hyphensOf(name) === hyphened);
    if (spellings.length > 0)
      this.forward = withoutNamed(this.forward, new Set(spellings.map((name) => name.toLowerCase())));
  }
}

/** `identity` in place of what the client takes, so that redaction can read the answer. */
export function withIdentityEncoding(headers: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (knownFateOf(headers[i]!) !== 'accept-encoding') out.push(headers[i]!, headers[i + 1]!);
  }
  out.push('accept-encoding', 'identity');
  return out;
}
