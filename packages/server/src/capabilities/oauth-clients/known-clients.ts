import type { Clock } from '../../kernel/clock.js';
import type { Generations } from '../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../platform/cache/lru.js';
import { sha256Base64 } from '../../platform/crypto/hashing.js';
import { credentialGeneration } from '../accounts/index.js';
import type { ClientCredentials, IdentifyClient, KnownClient } from './identify.js';

export interface KnownClientsDeps {
  readonly identifyClient: IdentifyClient;
  readonly generations: Pick<Generations, 'current' | 'isFresh'>;
  readonly clock: Clock;
  readonly cacheCounts?: CacheCounts | undefined;
  /** Told of every client that is let in, remembered or not. */
  recordUse(client: KnownClient): void;
}

interface Kept {
  readonly client: KnownClient;
  readonly generation: number;
}

const CLIENTS_KEPT_MAX = 10_000;
const PERMISSIONS_A_WEIGHT = 10;

/**
 * Remembers who has shown a secret for as long as the credentials of its tenant stay as they are, as `authentication`
 * does of keys: the clients that mint most read no row of theirs. Where changes may go unseen, each is read.
 */
export function rememberClients(deps: KnownClientsDeps): IdentifyClient {
  const { identifyClient, generations, clock, cacheCounts: counts, recordUse } = deps;
  const known = createLru<string, Kept>({
    entriesMax: CLIENTS_KEPT_MAX,
    weigh: ({ client }) => 1 + Math.ceil(client.permissions.size / PERMISSIONS_A_WEIGHT),
    ...(counts && { counts }),
  });

  function keptAs(name: string): KnownClient | undefined {
    const kept = generations.isFresh() ? known.get(name) : undefined;
    if (!kept || kept.generation !== generationOf(kept.client)) return undefined;
    const { expiresAtMs } = kept.client;
    return expiresAtMs === null || expiresAtMs > clock.nowMs() ? kept.client : undefined;
  }

  function generationOf({ scope }: KnownClient): number {
    return generations.current(credentialGeneration(scope.tenantId));
  }

  /** The row names the tenant, the tenant the generation; what is kept is read after the generation was taken. */
  async function read(credentials: ClientCredentials, name: string): Promise<KnownClient | undefined> {
    const found = await identifyClient(credentials);
    if (!found) return undefined;
    const generation = generationOf(found);
    const client = await identifyClient(credentials);
    if (client) known.put(name, { client, generation });
    counts?.misses.add();
    return client;
  }

  /** By a hash, never by the secret itself: a heap dump must hold none longer than its request. */
  function nameOf({ clientId, secret }: ClientCredentials): string {
    return sha256Base64(`${clientId.length} ${clientId} ${secret}`);
  }

  async function find(credentials: ClientCredentials): Promise<KnownClient | undefined> {
    // Whoever knows the name of a public client may send it: it is read, and keeps no other from its place.
    if (credentials.secret === null) return identifyClient(credentials);
    const name = nameOf(credentials);
    return keptAs(name) ?? read(credentials, name);
  }

  return async (credentials) => {
    const client = await find(credentials);
    if (client) recordUse(client);
    return client;
  };
}
