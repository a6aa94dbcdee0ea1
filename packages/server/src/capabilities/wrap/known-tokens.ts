import type { Generations } from '../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../platform/cache/lru.js';
import { equalInConstantTime } from '../../platform/crypto/hashing.js';
import { type Accounts, credentialGeneration, isSubscriptionActive } from '../accounts/index.js';
import { invalidGatewayToken, revocationsUnread } from './errors.js';
import type { FoundWrapToken, WrapStore } from './store.js';

export interface KnownTokensDeps {
  readonly store: Pick<WrapStore, 'findByHash'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly generations: Pick<Generations, 'current' | 'isFresh' | 'refresh'>;
  readonly cacheCounts?: CacheCounts | undefined;
}

/** What is known of a token, as of a generation of its tenant's credentials. */
export interface KnownToken extends FoundWrapToken {
  readonly tenantSlug: string;
  readonly isActive: boolean;
  readonly generation: number;
}

export interface KnownTokens {
  /** Of what is in memory: at once, and no read where it is not. */
  kept(hash: Buffer): KnownToken | undefined;
  /** Also of one that has ended: who asks judges. Throws 401 for every text that is none, 503 while revocations may go unseen. */
  find(hash: Buffer): Promise<KnownToken>;
}

/** Each takes some hundred bytes. */
const TOKENS_KEPT_MAX = 10_000;

/** As API keys are known (docs/decisions/0038): a revocation is a new generation, in every process within 500 ms. */
export function createKnownTokens({
  store,
  accounts,
  generations,
  cacheCounts,
}: KnownTokensDeps): KnownTokens {
  const known = createLru<string, KnownToken>({ entriesMax: TOKENS_KEPT_MAX, counts: cacheCounts });
  const generationOf = ({ scope }: FoundWrapToken) =>
    generations.current(credentialGeneration(scope.tenantId));
  const isCurrent = (token: KnownToken) => generationOf(token) === token.generation;
  // By the hash, never by the token itself: a heap dump must hold none longer than its request.
  const nameOf = (hash: Buffer) => hash.toString('base64');

  function current(name: string): KnownToken | undefined {
    const kept = known.get(name);
    if (!kept || isCurrent(kept)) return kept;
    known.delete(name);
    return undefined;
  }

  async function readRow(hash: Buffer): Promise<FoundWrapToken> {
    const token = await store.findByHash(hash);
    if (!token || !equalInConstantTime(token.hash, hash)) throw invalidGatewayToken();
    return token;
  }

  /** The row names the tenant, the tenant the generation; what is kept is read after the generation was taken. */
  async function read(hash: Buffer): Promise<KnownToken> {
    const generation = generationOf(await readRow(hash));
    const token = await readRow(hash);
    const tenant = await accounts.tenantById(token.scope.tenantId);
    if (!tenant) throw invalidGatewayToken();
    const isActive = isSubscriptionActive(tenant.subscriptionStatus);
    return { ...token, tenantSlug: tenant.slug, isActive, generation };
  }

  async function load(hash: Buffer): Promise<KnownToken> {
    const name = nameOf(hash);
    if (!generations.isFresh() && !(await generations.refresh())) throw revocationsUnread();
    const kept = current(name);
    if (kept) return kept;
    // A read that others had begun before a change may be shared; one that began after it may not be older.
    const shared = await known.load(name, () => read(hash));
    if (isCurrent(shared)) return shared;
    known.delete(name);
    return read(hash);
  }

  const kept = (hash: Buffer) => (generations.isFresh() ? current(nameOf(hash)) : undefined);
  return { kept, find: load };
}
