import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Client, type Dispatcher } from 'undici';
import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import { formatIpAddress, type IpAddress } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { classifyAddress, nat64Target } from './address-policy.js';
import { startCallClock, within } from './call-clock.js';
import { ConnectFailure, type Dialer, dialTcp, dialTls, tcpDialer, unreachable } from './dial.js';
import { type CallClock, NOBODY_WAITS } from './egress.js';
import { addressRefused, codeOf, dnsFailure, nameRefused } from './errors.js';
import { judgeName, suffixes, withoutRootDot } from './name-policy.js';
import { parseValidationTargets } from './private-upstreams.js';
import { createResolver, type DnsServer } from './resolver.js';

export interface ValidationDeps {
  readonly clock: Clock;
  /** KNOX_ACME_VALIDATION_TARGETS as written. */
  readonly targets: string;
  /** KNOX_ACME_HTTP01_PORT. */
  readonly http01Port: number;
  readonly dnsServers: readonly DnsServer[] | null;
  readonly nat64: boolean;
  readonly ownNames: readonly string[];
  isOwnEndpoint(address: IpAddress, port: number): boolean;
  readonly dialer?: Dialer;
}

/** The kinds of RFC 8555 §6.7 that a validation ends with. */
export type ValidationFault = 'dns' | 'connection' | 'tls' | 'incorrectResponse';

/** Fit for whoever asked for the validation: classes, never an address. */
export class ValidationFailed extends Error {
  override readonly name = 'ValidationFailed';
  constructor(
    readonly fault: ValidationFault,
    message: string,
    /** For the log. */
    readonly detail: string | undefined = undefined,
  ) {
    super(message);
  }
}

/**
 * The guard as ACME validation goes through it (contract README §9): public names and what KNOX_ACME_VALIDATION_TARGETS
 * lists; metadata and our own addresses never. Nothing is kept between two validations, no name and no connection.
 */
export interface Validation {
  /** http-01 (RFC 8555 §8.3): what a plain GET of that path at the name gives. Throws `ValidationFailed`. */
  page(hostname: string, path: string): Promise<string>;
  /** dns-01 (RFC 8555 §8.4): the TXT records of `_acme-challenge` under the name. Throws `ValidationFailed`. */
  texts(hostname: string): Promise<readonly string[]>;
}

const TCP_TRY_MS = 3_000;
const TCP_TRIES_MAX = 4;
const HEADERS_BYTES_MAX = 16 * 1024;
const LOCATION_CHARACTERS_MAX = 2_048;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** One step: what is asked and where. */
interface Hop {
  readonly isSecure: boolean;
  readonly hostname: string;
  readonly port: number;
  readonly path: string;
}

export function createValidation(deps: ValidationDeps): Validation {
  const { clock, http01Port, dialer = tcpDialer } = deps;
  const targets = parseValidationTargets(deps.targets);
  const ownNames = suffixes(deps.ownNames.map((name) => withoutRootDot(name.toLowerCase())));
  const resolver = createResolver({ clock, servers: deps.dnsServers });
  const trust = createSecureContext({ minVersion: 'TLSv1.2' });

  function checkName(hostname: string): void {
    const refusal = judgeName(hostname, { ownNames, isOpened: targets.opensName });
    if (refusal) throw nameRefused(refusal);
  }

  function checkAddress(hostname: string, address: IpAddress, port: number): void {
    const subject = (deps.nat64 && nat64Target(address)) || address;
    const detail = `${hostname} ${formatIpAddress(address)}:${port}`;
    if (deps.isOwnEndpoint(subject, port)) throw addressRefused('own_listener', detail);
    const addressClass = classifyAddress(subject);
    if (addressClass !== 'public' && !targets.opensAddress(hostname, subject))
      throw addressRefused(addressClass, detail);
  }

  /** All of them or none, as everywhere in the guard: one bad address refuses the name. */
  async function judgedAddresses({ hostname, port }: Hop, ending: CallClock): Promise<readonly IpAddress[]> {
    checkName(hostname);
    const resolution = await within(resolver.resolve(hostname), ending);
    if (resolution.kind === 'none') throw dnsFailure(hostname, resolution);
    const { addresses } = resolution;
    if (addresses.length > LIMITS.dnsAnswersMax)
      throw addressRefused('too_many_addresses', `${hostname}: ${addresses.length}`);
    for (const address of addresses) checkAddress(hostname, address, port);
    return addresses;
  }

  async function open(hop: Hop, ending: CallClock): Promise<Socket> {
    const addresses = (await judgedAddresses(hop, ending)).slice(0, TCP_TRIES_MAX);
    const failures = [];
    for (const [i, address] of addresses.entries()) {
      const target = { address: formatIpAddress(address), port: hop.port, servername: hop.hostname };
      const tcpTimeoutMs = i < addresses.length - 1 ? TCP_TRY_MS : null;
      const dial = { target, address, dialer, ending, clock, tcpTimeoutMs };
      try {
        // Whose the name is, the page says; a certificate is what is being asked for.
        return hop.isSecure
          ? await dialTls({ ...dial, trust, session: undefined, isVerified: false })
          : await dialTcp(dial);
      } catch (error) {
        if (!(error instanceof ConnectFailure)) throw error;
        failures.push({ target, cause: error.cause });
      }
    }
    throw unreachable(failures);
  }

  async function ask(hop: Hop, ending: CallClock): Promise<Hop | string> {
    const socket = await open(hop, ending);
    const client = clientOn(originOf(hop), socket);
    const letGo = ending.onEnd((error) => void client.destroy(error).catch(() => {}));
    try {
      const answer = await client.request({
        method: 'GET',
        path: hop.path,
        headers: { 'user-agent': 'KnoxCall-ACME', accept: '*/*' },
      });
      if (REDIRECTS.has(answer.statusCode)) return redirected(hop, answer.headers.location);
      if (answer.statusCode !== 200)
        throw new ValidationFailed('incorrectResponse', `The server answered ${answer.statusCode}, not 200`);
      return await bodyOf(answer);
    } catch (error) {
      if (error instanceof AppError || error instanceof ValidationFailed) throw error;
      throw answerFault(error);
    } finally {
      letGo();
      client.destroy().catch(() => {});
    }
  }

  /** RFC 8555 §8.3 lets a server follow redirects: to http and https on their own ports, each judged like the first. */
  function redirected(hop: Hop, location: string | string[] | undefined): Hop {
    if (typeof location !== 'string' || location.length > LOCATION_CHARACTERS_MAX)
      throw new ValidationFailed('incorrectResponse', 'The redirect names no place, or too long a one');
    const url = URL.parse(location, originOf(hop) + hop.path);
    if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username || url.password)
      throw new ValidationFailed('connection', 'The redirect leads to what is no http or https URL');
    const isSecure = url.protocol === 'https:';
    const port = url.port === '' ? (isSecure ? HTTPS_PORT : HTTP_PORT) : Number(url.port);
    if (port !== (isSecure ? HTTPS_PORT : HTTP_PORT) && port !== http01Port)
      throw new ValidationFailed(
        'connection',
        'The redirect leads to another port than those of http and https',
      );
    return { isSecure, hostname: withoutRootDot(url.hostname), port, path: url.pathname + url.search };
  }

  async function follow(first: Hop, ending: CallClock): Promise<string> {
    let hop = first;
    for (let redirects = 0; redirects <= LIMITS.acmeRedirectsMax; redirects++) {
      const answer = await ask(hop, ending);
      if (typeof answer === 'string') return answer;
      hop = answer;
    }
    throw new ValidationFailed('connection', `More than ${LIMITS.acmeRedirectsMax} redirects`);
  }

  return {
    async page(hostname, path) {
      const ending = startCallClock(clock, LIMITS.acmeValidationMs, NOBODY_WAITS);
      try {
        return await follow({ isSecure: false, hostname, port: http01Port, path }, ending);
      } catch (error) {
        throw faultOf(error);
      } finally {
        ending.stop();
      }
    },

    async texts(hostname) {
      try {
        checkName(hostname);
      } catch (error) {
        throw faultOf(error);
      }
      const found = await resolver.texts(`_acme-challenge.${hostname}`);
      if (found.kind === 'found') return found.texts;
      throw new ValidationFailed('dns', TEXT_FAULTS[found.reason], found.detail);
    },
  };
}

const TEXT_FAULTS = {
  no_such_name: 'There is no _acme-challenge under the name',
  no_text: 'There is no TXT record at _acme-challenge',
  servers_failed: 'The TXT records of _acme-challenge could not be looked up',
} as const;

function originOf({ isSecure, hostname, port }: Hop): string {
  return new URL(`${isSecure ? 'https' : 'http'}://${hostname}:${port}`).origin;
}

/** It never dials: the socket is the judged one, and there is no second. */
function clientOn(origin: string, connected: Socket): Client {
  let socket: Socket | null = connected;
  return new Client(origin, {
    connect(_options, callback) {
      const ready = socket;
      socket = null;
      queueMicrotask(() =>
        ready ? callback(null, ready as never) : callback(new Error('connection lost'), null),
      );
    },
    pipelining: 0,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: HEADERS_BYTES_MAX,
    maxResponseSize: LIMITS.acmeValidationBodyBytesMax,
  });
}

/** Whatever its bytes are, they are compared with text of ASCII. */
async function bodyOf({ body }: Dispatcher.ResponseData): Promise<string> {
  return Buffer.from(await body.arrayBuffer()).toString('latin1');
}

function answerFault(error: unknown): ValidationFailed {
  const detail = String(error);
  return codeOf(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE'
    ? new ValidationFailed('incorrectResponse', 'The answer is too long for a key authorization', detail)
    : new ValidationFailed('connection', 'The server gave no valid HTTP answer', detail);
}

function faultOf(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const fault =
    error.type === 'dns_failure' ? 'dns' : error.type === 'upstream_tls_error' ? 'tls' : 'connection';
  return new ValidationFailed(fault, error.publicMessage, error.detail);
}
