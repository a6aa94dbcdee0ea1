import type { Clock } from '../../../kernel/clock.js';
import type { Scope } from '../../../kernel/ids.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { ScopeCache } from '../../../platform/cache/scope-cache.js';
import type { RequestSource } from '../../../platform/http/request-source.js';
import type { LastUsed } from '../../../platform/storage/last-used.js';
import type { RouteEnvironment } from '../assignments/store.js';
import { clientNotAuthorized } from '../errors.js';
import type { CredentialKind } from '../tables.js';
import type { ClientIndex } from './client-index.js';

export interface ClientMatch {
  readonly clientId: string;
  readonly clientName: string;
  readonly credentialId: string;
  readonly kind: CredentialKind;
  /** Of the client: what signs its calls (clients-pki.md §1.5). */
  readonly signingSecretId: string | null;
}

/** Those that are assigned to a route in an environment, or every client of the tenant and mode. */
export type Among = RouteEnvironment | 'all';

/** Which client a request comes from (clients-pki.md §1.4). Answers at once but for the first call after a change. */
export interface ClientMatcher {
  match(scope: Scope, source: RequestSource, among: Among): Promisable<ClientMatch | null>;
  /** The same; 403 `client_not_authorized`, which tells address and certificate, where there is none. */
  requireMatch(scope: Scope, source: RequestSource, among: Among): Promisable<ClientMatch>;
}

export interface MatcherDeps {
  readonly clock: Clock;
  readonly indexes: ScopeCache<ClientIndex>;
  readonly lastMatched: Pick<LastUsed<string>, 'record'>;
}

export function createClientMatcher({ clock, indexes, lastMatched }: MatcherDeps): ClientMatcher {
  function withIndex<T>(scope: Scope, use: (index: ClientIndex) => T): Promisable<T> {
    const index = indexes.get(scope);
    return isPending(index) ? index.then(use) : use(index);
  }

  function matchIn(
    index: ClientIndex,
    scope: Scope,
    source: RequestSource,
    among: Among,
  ): ClientMatch | null {
    const candidate = index.find(source, among, clock.nowMs());
    if (!candidate) return null;
    const { id: credentialId, kind, client } = candidate;
    lastMatched.record(scope, credentialId);
    return {
      clientId: client.id,
      clientName: client.name,
      credentialId,
      kind,
      signingSecretId: client.signing_secret_id,
    };
  }

  return {
    match: (scope, source, among) => withIndex(scope, (index) => matchIn(index, scope, source, among)),
    requireMatch: (scope, source, among) =>
      withIndex(scope, (index) => {
        const match = matchIn(index, scope, source, among);
        if (match) return match;
        const isKnownElsewhere = among !== 'all' && index.find(source, 'all', clock.nowMs()) !== undefined;
        throw clientNotAuthorized(source, isKnownElsewhere);
      }),
  };
}
