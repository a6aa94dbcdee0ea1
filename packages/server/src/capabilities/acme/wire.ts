import { isoSeconds } from '../../kernel/clock.js';
import type { Account } from './account-store.js';
import type { Authorization, Challenge, Order } from './order-store.js';
import type { AuthorizationStatus, OrderStatus } from './tables.js';
import type { AcmeUrls } from './urls.js';

/** The objects of RFC 8555 §7.1 as they are sent. */

export function directoryWire(urls: AcmeUrls, terms: { readonly requiresExternalKey: boolean }) {
  return {
    newNonce: urls.newNonce,
    newAccount: urls.newAccount,
    newOrder: urls.newOrder,
    revokeCert: urls.revokeCert,
    keyChange: urls.keyChange,
    meta: { externalAccountRequired: terms.requiresExternalKey },
  };
}

export function accountWire(urls: AcmeUrls, account: Account) {
  return {
    status: account.status,
    contact: account.contacts,
    ...(account.termsAgreed && { termsOfServiceAgreed: true }),
    ...(account.externalBinding != null && { externalAccountBinding: account.externalBinding }),
    orders: urls.orders(account.id),
  };
}

export function orderWire(
  urls: AcmeUrls,
  order: Order,
  authorizations: readonly Authorization[],
  nowMs: number,
) {
  const status = orderStatus(order, nowMs);
  return {
    status,
    expires: isoSeconds(order.expiresAtMs),
    identifiers: order.names.map((value) => ({ type: 'dns', value })),
    authorizations: authorizations.map(({ id }) => urls.authorization(id)),
    finalize: urls.finalize(order.id),
    ...(order.error && { error: order.error }),
    ...(status === 'valid' && { certificate: urls.certificate(order.id) }),
  };
}

export function authorizationWire(
  urls: AcmeUrls,
  authorization: Authorization,
  challenges: readonly Challenge[],
  nowMs: number,
) {
  const status = authorizationStatus(authorization, nowMs);
  return {
    identifier: { type: 'dns', value: authorization.name },
    status,
    expires: isoSeconds(authorization.expiresAtMs),
    challenges: shownChallenges(status, challenges).map((challenge) => challengeWire(urls, challenge)),
    ...(authorization.isWildcard && { wildcard: true }),
  };
}

/** RFC 8555 §7.1.4: of what is decided, how it was. */
function shownChallenges(
  status: AuthorizationStatus,
  challenges: readonly Challenge[],
): readonly Challenge[] {
  const decided = challenges.filter((challenge) => challenge.status === status);
  return decided.length > 0 && status !== 'pending' ? decided : challenges;
}

export function challengeWire(urls: AcmeUrls, challenge: Challenge) {
  return {
    type: challenge.type,
    url: urls.challenge(challenge.id),
    status: challenge.status,
    token: challenge.token,
    ...(challenge.validatedAtMs !== null && { validated: isoSeconds(challenge.validatedAtMs) }),
    ...(challenge.error && { error: challenge.error }),
  };
}

/** What time has made of it: nothing is written when an order runs out (RFC 8555 §7.1.6). */
export function orderStatus({ status, expiresAtMs }: Order, nowMs: number): OrderStatus {
  return status !== 'valid' && expiresAtMs <= nowMs ? 'invalid' : status;
}

export function authorizationStatus(
  { status, expiresAtMs }: Authorization,
  nowMs: number,
): AuthorizationStatus {
  if (expiresAtMs > nowMs) return status;
  if (status === 'valid') return 'expired';
  return status === 'pending' ? 'invalid' : status;
}
