import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { createLine } from '../../kernel/line.js';
import type { Actor, Visitor } from '../../kernel/principal.js';
import type { JsonObject } from '../../kernel/strict-json.js';
import type { SignatureVerifier, VerifyingKey } from '../../platform/crypto/jws.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { AcmeRole } from '../pki/index.js';
import type { Account, AccountStore } from './account-store.js';
import {
  algorithmOf,
  checkSignature,
  checkUrl,
  type FlattenedJws,
  keyNamed,
  objectOf,
  readFlattened,
  readJson,
  verifyingKey,
} from './jws.js';
import type { Nonces } from './nonces.js';
import { AcmeProblem, malformed, notAuthorized, rateLimited } from './problems.js';
import type { AcmeUrls } from './urls.js';

/** A request at one directory, before anything that it says is believed. */
export interface AcmeCall {
  readonly target: AcmeRole;
  readonly urls: AcmeUrls;
  /** As the client must have written it: public origin, path, query. */
  readonly url: string;
  readonly body: Buffer;
  readonly visitor: Visitor;
}

/** No key or user of the tenant: a client of one of its roles. */
export function actorIn({ target: { scope }, visitor }: Pick<AcmeCall, 'target' | 'visitor'>): Actor {
  return { scope, apiKeyId: null, userId: null, requestId: visitor.requestId, ip: visitor.ip };
}

/** Whose signature was good, and whose nonce was used by it. */
export interface SignedRequest {
  readonly key: VerifyingKey;
  readonly payload: Buffer;
}

export interface AccountRequest extends SignedRequest {
  readonly account: Account;
}

/** RFC 8555 §6: nobody reads a resource or changes one without a signed request. */
export interface SignedRequests {
  byAccount(call: AcmeCall): Promise<AccountRequest>;
  /** Of somebody who has no account yet. */
  byKey(call: AcmeCall): Promise<SignedRequest>;
  /** Of either: a certificate is revoked by its own key too (RFC 8555 §7.6). */
  byEither(call: AcmeCall): Promise<SignedRequest & { readonly account: Account | null }>;
}

export interface SignedRequestsDeps {
  readonly clock: Clock;
  readonly nonces: Nonces;
  readonly signatures: SignatureVerifier;
  readonly accounts: Pick<AccountStore, 'findAccount' | 'spendNonce'>;
}

const WHAT = 'The request';

export function createSignedRequests(deps: SignedRequestsDeps): SignedRequests {
  const { clock, nonces, signatures, accounts } = deps;
  const windows = createCountWindows(clock, {
    windowMs: LIMITS.acmeRequestWindowMs,
    namesMax: LIMITS.rateLimitsKept,
  });
  /** As those who sign in: strangers must not take all places before the writer (docs/decisions/0049). */
  const strangers = createLine({
    atOnceMax: LIMITS.visitorWritesAtOnceMax,
    waitingMax: LIMITS.visitorWritesWaitingMax,
    refusal: () =>
      new AppError('dependency_unavailable', 'Too many clients without an account ask at once', {
        dependency: 'database',
        retryAfterSeconds: 1,
      }),
  });

  function admit({ ip }: Visitor): void {
    const window = windows(networkOf(ip));
    if (window.count >= LIMITS.acmeRequestsPerNetworkMax)
      throw rateLimited('Too many requests from this network', window.leftMs());
    window.count++;
  }

  async function accountOf(call: AcmeCall, kid: string): Promise<Account> {
    const id = call.urls.accountIdIn(kid);
    const { scope, role } = call.target;
    const account = id === null ? undefined : await accounts.findAccount(scope, id);
    // One of another role is as unknown as one of another tenant.
    if (account?.roleId !== role.id)
      throw new AcmeProblem('accountDoesNotExist', `${WHAT}: kid is the URL of no account of this directory`);
    return account;
  }

  function nonceOf({ urls }: AcmeCall, header: JsonObject) {
    const nonce = typeof header.nonce === 'string' ? nonces.read(urls.path, header.nonce) : null;
    if (nonce === null) throw badNonce();
    return nonce;
  }

  async function read(call: AcmeCall, takes: 'kid' | 'jwk' | 'either') {
    admit(call.visitor);
    const jws = readFlattened(readJson(call.body, WHAT), WHAT);
    const { header } = jws;
    const algorithm = algorithmOf(header, WHAT);
    checkUrl(header, call.url, WHAT);
    const named = keyNamed(header, WHAT);
    if (takes === 'kid' && 'jwk' in named) throw malformed(`${WHAT} must name its account by kid`);
    if (takes === 'jwk' && 'kid' in named) throw malformed(`${WHAT} must hold its key as jwk`);
    const nonce = nonceOf(call, header);
    const account = 'kid' in named ? await accountOf(call, named.kid) : null;
    const key = account ?? verifyingKey('jwk' in named ? named.jwk : null, WHAT);
    checkSignature(jws, algorithm, key, signatures, WHAT);
    const spend = () => accounts.spendNonce(call.target.scope, nonce.key, nonce.expiresAtMs);
    // Only what was signed uses a nonce, so that nobody uses up those of others.
    if (!(await (account ? spend() : strangers.inTurn(spend)))) throw badNonce();
    if (account && account.status !== 'valid') throw notAuthorized(`The account is ${account.status}`, 401);
    return { key: { jwk: key.jwk, thumbprint: key.thumbprint }, payload: jws.payload, account };
  }

  return {
    async byAccount(call) {
      const { account, ...rest } = await read(call, 'kid');
      return { ...rest, account: account! };
    },
    async byKey(call) {
      const { key, payload } = await read(call, 'jwk');
      return { key, payload };
    },
    byEither: (call) => read(call, 'either'),
  };
}

/** RFC 8555 §6.5; the answer brings a fresh one, as every answer does. */
function badNonce(): AcmeProblem {
  return new AcmeProblem(
    'badNonce',
    `${WHAT}: nonce is not one of this directory that was not used; take that of this answer`,
  );
}

/** RFC 8555 §6.3. */
export function requireNothing({ payload }: SignedRequest): void {
  if (payload.length > 0) throw malformed('A POST-as-GET has an empty payload');
}

export function payloadOf({ payload }: SignedRequest): JsonObject {
  return objectOf(payload, 'The payload');
}

/** RFC 8555 §7.3.5: what is inside a key change is signed too, by the new key, for the same URL. */
export function readInner(
  payload: Buffer,
  url: string,
  signatures: SignatureVerifier,
): { readonly key: VerifyingKey; readonly payload: JsonObject } {
  const what = 'The inner JWS';
  const jws: FlattenedJws = readFlattened(readJson(payload, what), what);
  const algorithm = algorithmOf(jws.header, what);
  checkUrl(jws.header, url, what);
  const named = keyNamed(jws.header, what);
  if (!('jwk' in named)) throw malformed(`${what} must hold the new key as jwk`);
  const key = verifyingKey(named.jwk, what);
  checkSignature(jws, algorithm, key, signatures, what);
  return { key, payload: objectOf(jws.payload, `${what}, payload`) };
}
