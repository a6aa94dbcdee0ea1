import type { Clock } from '../../kernel/clock.js';
import type { OAuthPrincipal, Principal } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../platform/cache/lru.js';
import { equalInConstantTime, sha256Base64 } from '../../platform/crypto/hashing.js';
import { type Accounts, credentialGeneration, isSubscriptionActive, type Tenant } from '../accounts/index.js';
import { type ApiKeys, hashKey, type StoredCredential } from '../api-keys/index.js';
import type { LiveToken, OAuthTokens } from '../oauth/index.js';
import { type Decision, narrowDecision, type Permissions } from '../permissions/index.js';
import type { Credential } from './credentials.js';
import { invalidApiKey, invalidToken, revocationsUnread } from './errors.js';

export interface KnownCredentialsDeps {
  readonly apiKeys: Pick<ApiKeys, 'findActiveByHash'>;
  readonly tokens: Pick<OAuthTokens, 'find'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  readonly generations: Pick<Generations, 'current' | 'isFresh' | 'refresh'>;
  readonly clock: Clock;
  readonly cacheCounts?: CacheCounts | undefined;
}

/** What is known of a credential, as of a generation of its tenant's credentials. */
export interface KnownCredential {
  readonly principal: Exclude<Principal, { kind: 'user' | 'wrap_token' }>;
  /** Of a token: the key it is bound to, and whether proofs of that key need a nonce. */
  readonly binding: { readonly jkt: string | null; readonly isNonceRequired: boolean } | null;
  readonly isActive: boolean;
  readonly expiresAtMs: number | null;
  readonly generation: number;
  /** Put together once: it is looked up at every call. */
  readonly generationName: string;
  /** In the cache: grants of a key's own take memory, those of the seeded roles are shared by all keys. */
  readonly weight: number;
}

/** A credential that is good at this moment; throws 401 for every other. */
export type FindCredential = (credential: Credential) => Promisable<KnownCredential>;

const CREDENTIALS_KEPT_MAX = 10_000;
const OWN_GRANTS_A_WEIGHT = 10;

export function createFindCredential(deps: KnownCredentialsDeps): FindCredential {
  const { apiKeys, tokens, accounts, permissions, generations, clock } = deps;
  // By the hash, never by the credential itself: a heap dump must hold none longer than its request.
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

  async function find(credential: Credential, name: string): Promise<KnownCredential> {
    // A read that others had begun before a change may be shared; one that began after it may not be older.
    const read = await known.load(name, () => readKnown(credential));
    // What a user may do is read at each call, as it is of one who has signed in.
    if (read.principal.userId !== null) known.delete(name);
    if (isCurrent(read)) return read;
    known.delete(name);
    return readKnown(credential);
  }

  function isCurrent({ generationName, generation }: KnownCredential): boolean {
    return generations.current(generationName) === generation;
  }

  function readKnown(credential: Credential): Promise<KnownCredential> {
    return credential.kind === 'token' ? knownToken(credential.text) : knownKey(hashKey(credential.text));
  }

  /** The row names the tenant, the tenant the generation; what is kept is read after the generation was taken. */
  async function knownKey(hash: Buffer): Promise<KnownCredential> {
    const { tenantId } = (await readKey(hash)).scope;
    const generationName = credentialGeneration(tenantId);
    const generation = generations.current(generationName);
    const key = await readKey(hash);
    const tenant = await accounts.tenantById(tenantId);
    if (!tenant) throw invalidApiKey();
    const { access, expiresAtMs } = key;
    return {
      principal: keyPrincipal(key, tenant, await permissions.decisionOfKey(tenantId, access)),
      binding: null,
      isActive: isSubscriptionActive(tenant.subscriptionStatus),
      expiresAtMs,
      generation,
      generationName,
      weight: access.full ? 1 : 1 + Math.ceil(access.grants.length / OWN_GRANTS_A_WEIGHT),
    };
  }

  async function readKey(hash: Buffer): Promise<StoredCredential> {
    const key = await apiKeys.findActiveByHash(hash);
    if (!key || !equalInConstantTime(key.hash, hash)) throw invalidApiKey();
    return key;
  }

  async function knownToken(text: string): Promise<KnownCredential> {
    const { tenantId } = (await readToken(text)).scope;
    const generationName = credentialGeneration(tenantId);
    const generation = generations.current(generationName);
    const token = await readToken(text);
    const tenant = await accounts.tenantById(tenantId);
    if (!tenant) throw invalidToken();
    const { jkt, state } = token;
    return {
      principal: tokenPrincipal(token, tenant),
      binding: { jkt, isNonceRequired: state.requireDpopNonce },
      isActive: isSubscriptionActive(tenant.subscriptionStatus),
      expiresAtMs: Math.min(token.expiresAtMs, state.expiresAtMs ?? token.expiresAtMs),
      generation,
      generationName,
      weight: 1 + Math.ceil(token.permissions.size / OWN_GRANTS_A_WEIGHT),
    };
  }

  async function readToken(text: string): Promise<LiveToken> {
    const token = await tokens.find(text);
    if (!token) throw invalidToken();
    return token;
  }

  async function read(credential: Credential, name: string): Promise<KnownCredential> {
    if (!generations.isFresh() && !(await generations.refresh())) throw revocationsUnread();
    return unexpired(keptAs(name) ?? (await find(credential, name)));
  }

  /** The clock is asked at each use, also of what is cached. */
  function unexpired(found: KnownCredential): KnownCredential {
    if (found.expiresAtMs === null || found.expiresAtMs > clock.nowMs()) return found;
    throw found.binding === null ? invalidApiKey() : invalidToken();
  }

  return (credential) => {
    const name = sha256Base64(credential.text);
    const kept = generations.isFresh() ? keptAs(name) : undefined;
    return kept ? unexpired(kept) : read(credential, name);
  };
}

export function keyPrincipal(
  key: StoredCredential,
  tenant: Tenant,
  { grants, may }: Decision,
): KnownCredential['principal'] {
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

/** Scope of the token, as far as its source holds it at this moment (auth.md §2.3). */
export function tokenPrincipal(token: LiveToken, tenant: Tenant): OAuthPrincipal {
  const { source, state } = token;
  const { grants, may } = narrowDecision(state, token.permissions);
  const ofClient = source.kind === 'client' || source.kind === 'user';
  return {
    kind: 'oauth_token',
    scope: token.scope,
    tenantSlug: tenant.slug,
    tokenId: token.id,
    isBound: token.jkt !== null,
    apiKeyId: source.kind === 'api_key' ? source.apiKeyId : null,
    keyId: state.keyId,
    oauthClientId: ofClient ? source.oauthClientId : null,
    bindingId: source.kind === 'binding' ? source.bindingId : null,
    userId: source.kind === 'user' ? source.userId : null,
    role: state.user?.role ?? null,
    rateLimit: state.rateLimit,
    grants,
    may,
  };
}
