import { Writable } from 'node:stream';
import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { Deadline } from '../../../platform/egress/deadline.js';
import type { Egress, EgressPolicy } from '../../../platform/egress/egress.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import { OtherIssuer, unusableAnswer } from './errors.js';
import { type IssuerKey, readKeySet } from './key-set.js';

/** On whose behalf an issuer is asked: names and connections are never shared between tenants. */
export interface Asker {
  readonly scope: Scope;
  readonly tenantSlug: string;
}

export interface KeySet {
  readonly keys: readonly IssuerKey[];
  /** Of the text that it was read from. */
  readonly bytes: number;
}

export interface IssuerDocuments {
  /** Name and port of the issuer, without DNS; throws what the guard throws. */
  assertAskable(asker: Asker, issuer: string): Promise<void>;
  /** Throws `OtherIssuer` where the document is that of another issuer. */
  keysUrl(asker: Asker, issuer: string): Promise<string>;
  keySet(asker: Asker, issuer: string): Promise<KeySet>;
}

export interface IssuerDocumentsDeps {
  readonly clock: Clock;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
}

/** For both documents, the last byte included. */
const FETCH_MS = 5_000;
const HEADERS = ['accept', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'knoxcall'];

/** Discovery and keys of issuers, through the egress guard with the rules of the tenant (auth.md §4). No redirect is followed. */
export function createIssuerDocuments(deps: IssuerDocumentsDeps): IssuerDocuments {
  const { clock, egress, egressAllowlist } = deps;

  async function policyOf({ scope, tenantSlug }: Asker): Promise<EgressPolicy> {
    return { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope) };
  }

  async function fetchJson(rawUrl: string, policy: EgressPolicy, deadline: Deadline) {
    const url = egress.parse(rawUrl, policy);
    const callClock = egress.startClock(FETCH_MS, deadline);
    const target = await egress.judge(url, policy, callClock);
    const body = new Collected();
    const call = {
      method: 'GET',
      path: `${url.pathname}${url.search}`,
      headers: HEADERS,
      body: null,
      clock: callClock,
      idleTimeoutMs: FETCH_MS,
    };
    await egress.stream(target, call, ({ status }) => {
      if (status !== 200) throw unusableAnswer(`status ${status}`);
      return body;
    });
    return body.json();
  }

  async function discover(issuer: string, policy: EgressPolicy, deadline: Deadline): Promise<string> {
    // Discovery §4: a slash at the end is removed first.
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { value } = await fetchJson(address, policy, deadline);
    const { issuer: named, jwks_uri: keysUrl } = (value ?? {}) as Readonly<Record<string, unknown>>;
    if (named !== issuer) throw new OtherIssuer('the discovery document names another issuer');
    if (typeof keysUrl !== 'string') throw unusableAnswer('the discovery document has no jwks_uri');
    return keysUrl;
  }

  async function within<T>(
    asker: Asker,
    run: (policy: EgressPolicy, deadline: Deadline) => Promise<T>,
  ): Promise<T> {
    const policy = await policyOf(asker);
    const deadline = new Deadline(clock, FETCH_MS);
    try {
      return await run(policy, deadline);
    } finally {
      deadline.cancel();
    }
  }

  return {
    async assertAskable(asker, issuer) {
      egress.parse(issuer, await policyOf(asker));
    },
    keysUrl: (asker, issuer) => within(asker, (policy, deadline) => discover(issuer, policy, deadline)),
    keySet: (asker, issuer) =>
      within(asker, async (policy, deadline) => {
        const keysUrl = await discover(issuer, policy, deadline);
        const { value, bytes } = await fetchJson(keysUrl, policy, deadline);
        return { keys: readKeySet(value), bytes };
      }),
  };
}

/** A body as far as the limit goes. */
class Collected extends Writable {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#bytes += chunk.length;
    const isTooLong = this.#bytes > LIMITS.jwksBytesMax;
    if (!isTooLong) this.#chunks.push(chunk);
    done(isTooLong ? unusableAnswer(`more than ${LIMITS.jwksBytesMax} bytes`) : undefined);
  }

  json(): { value: unknown; bytes: number } {
    try {
      return {
        value: JSON.parse(Buffer.concat(this.#chunks).toString('utf8')) as unknown,
        bytes: this.#bytes,
      };
    } catch {
      throw unusableAnswer('no JSON');
    }
  }
}
