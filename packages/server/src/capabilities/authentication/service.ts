import type { Clock } from '../../kernel/clock.js';
import { type Mode, modeOf } from '../../kernel/ids.js';
import type { ApiKeyPrincipal } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../platform/cache/lru.js';
import { equalInConstantTime, sha256Base64 } from '../../platform/crypto/hashing.js';
import type { Authenticator } from '../../platform/http/caller.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import { type Accounts, credentialGeneration, isSubscriptionActive, type Tenant } from '../accounts/index.js';
import { type ApiKeys, hashKey, isExpired, type StoredCredential } from '../api-keys/index.js';
import type { Decision, Permissions } from '../permissions/index.js';
import { readCredential } from './credentials.js';
import {
  invalidApiKey,
  revocationsUnread,
  subscriptionInactive,
  tenantNotFound,
  wrongKeyType,
} from './errors.js';

export interface AuthenticationDeps {
  readonly apiKeys: Pick<ApiKeys, 'findActiveByHash' | 'recordUse'>;
  readonly accounts: Pick<Accounts, 'tenantById' | 'tenantBySlug'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  readonly generations: Pick<Generations, 'current' | 'isFresh' | 'refresh'>;
  readonly clock: Clock;
  readonly cacheCounts?: CacheCounts;
}

/** Who is calling: a key becomes a principal. The order of the checks is that of auth.md §5. */
export type Authentication = Authenticator;

/** What is known of a credential, as of a generation of its tenant's credentials. */
interface KnownCredential {
  readonly principal: ApiKeyPrincipal;
  readonly isActive: boolean;
  readonly expiresAtMs: number | null;
  readonly generation: number;
  /** In the cache: grants of a key's own take memory, those of the seeded roles are shared by all keys. */
  readonly weight: number;
}

const CREDENTIALS_KEPT_MAX = 10_000;
const OWN_GRANTS_A_WEIGHT = 10;

export function createAuthentication(deps: AuthenticationDeps): Authentication {
  const { apiKeys, accounts, permissions, generations, clock } = deps;
  // By the hash, never by the key itself: a heap dump must hold no credential longer than its request.
  const known = createLru<string, KnownCredential>({
    entriesMax: CREDENTIALS_KEPT_MAX,
    weigh: ({ weight }) => weight,
    counts: deps.cacheCounts,
  });

  function keptAs(name: string): KnownCredential | undefined {
    const kept = known.get(name);
    if (!kept || isCurrent(kept)) return kept;
    known.delete(name);
    return undefined;
  }

  async function find(credential: string, name: string): Promise<KnownCredential> {
    // A read that others had begun before a change may be shared; one that began after it may not be older.
    const read = await known.load(name, () => readKnown(hashKey(credential)));
    if (isCurrent(read)) return read;
    known.delete(name);
    return readKnown(hashKey(credential));
  }

  function isCurrent({ principal, generation }: KnownCredential): boolean {
    return generations.current(credentialGeneration(principal.scope.tenantId)) === generation;
  }

  /** The row names the tenant, the tenant the generation; what is kept is read after the generation was taken. */
  async function readKnown(hash: Buffer): Promise<KnownCredential> {
    const { tenantId } = (await readKey(hash)).scope;
    const generation = generations.current(credentialGeneration(tenantId));
    const key = await readKey(hash);
    const tenant = await accounts.tenantById(tenantId);
    if (!tenant) throw invalidApiKey();
    const { access, expiresAtMs } = key;
    return {
      principal: principalOf(key, tenant, await permissions.decisionOfKey(tenantId, access)),
      isActive: isSubscriptionActive(tenant.subscriptionStatus),
      expiresAtMs,
      generation,
      weight: access.full ? 1 : 1 + Math.ceil(access.grants.length / OWN_GRANTS_A_WEIGHT),
    };
  }

  async function readKey(hash: Buffer): Promise<StoredCredential> {
    const key = await apiKeys.findActiveByHash(hash);
    if (!key || !equalInConstantTime(key.hash, hash)) throw invalidApiKey();
    return key;
  }

  async function refuse(error: unknown, host: ResolvedHost): Promise<never> {
    // Where a tenant host is called without a key of that tenant, 404 comes before 401 (auth.md §5).
    if (host.tenantSlug !== null && !(await accounts.tenantBySlug(host.tenantSlug))) throw tenantNotFound();
    throw error;
  }

  function knownAt(rawHeaders: readonly string[], host: ResolvedHost): Promisable<KnownCredential> {
    const credential = readCredential(rawHeaders);
    const name = sha256Base64(credential);
    const kept = generations.isFresh() ? keptAs(name) : undefined;
    return kept ? valid(kept, host) : read(credential, name).then((found) => valid(found, host));
  }

  async function read(credential: string, name: string): Promise<KnownCredential> {
    if (!generations.isFresh() && !(await generations.refresh())) throw revocationsUnread();
    return keptAs(name) ?? find(credential, name);
  }

  function valid(found: KnownCredential, host: ResolvedHost): KnownCredential {
    if (isExpired(found, clock.nowMs())) throw invalidApiKey();
    if (host.tenantSlug !== null && host.tenantSlug !== found.principal.tenantSlug) throw invalidApiKey();
    return found;
  }

  function admit(found: KnownCredential, host: ResolvedHost, servesInactive: boolean): ApiKeyPrincipal {
    const { principal } = found;
    if (!isModeOf(host.mode, principal)) throw wrongKeyType(principal);
    if (!found.isActive && !servesInactive) throw subscriptionInactive(principal);
    apiKeys.recordUse(principal.scope, principal.apiKeyId);
    return principal;
  }

  return {
    authenticate(rawHeaders, host, servesInactive = false) {
      let known: Promisable<KnownCredential>;
      try {
        known = knownAt(rawHeaders, host);
      } catch (error) {
        return refuse(error, host);
      }
      if (!isPending(known)) return admit(known, host, servesInactive);
      return known.then(
        (found) => admit(found, host, servesInactive),
        (error) => refuse(error, host),
      );
    },
  };
}

function isModeOf(mode: Mode | null, principal: ApiKeyPrincipal): boolean {
  return mode === null || mode === modeOf(principal.scope);
}

function principalOf(key: StoredCredential, tenant: Tenant, { grants, may }: Decision): ApiKeyPrincipal {
  return {
    kind: 'api_key',
    scope: key.scope,
    tenantSlug: tenant.slug,
    apiKeyId: key.id,
    keyId: key.keyId,
    userId: null,
    rateLimit: key.rateLimit,
    grants,
    may,
  };
}
