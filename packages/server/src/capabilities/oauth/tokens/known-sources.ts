import type { Clock } from '../../../kernel/clock.js';
import { modeOf, type Scope } from '../../../kernel/ids.js';
import type { Generations } from '../../../platform/cache/generations.js';
import { type CacheCounts, createLru } from '../../../platform/cache/lru.js';
import { credentialGeneration } from '../../accounts/index.js';
import type { FindSource, SourceState, TokenSource } from './sources.js';

export interface KnownSourcesDeps {
  readonly findSource: FindSource;
  readonly generations: Pick<Generations, 'current' | 'isFresh'>;
  readonly clock: Clock;
  readonly cacheCounts?: CacheCounts | undefined;
}

interface Kept {
  readonly state: SourceState;
  readonly generation: number;
}

const SOURCES_KEPT_MAX = 10_000;
const GRANTS_A_WEIGHT = 10;

/**
 * Remembers keys and clients whose tokens are asked about for as long as the credentials of their tenant stay as they
 * are. What a user may do is read at each use, and so is a workload's binding.
 */
export function rememberSources(deps: KnownSourcesDeps): FindSource {
  const { findSource, generations, clock, cacheCounts: counts } = deps;
  const known = createLru<string, Kept>({
    entriesMax: SOURCES_KEPT_MAX,
    weigh: ({ state }) => 1 + Math.ceil(state.grants.length / GRANTS_A_WEIGHT),
    ...(counts && { counts }),
  });

  function keptAs(name: string, generation: number): SourceState | undefined {
    const kept = generations.isFresh() ? known.get(name) : undefined;
    if (kept?.generation !== generation) return undefined;
    const { expiresAtMs } = kept.state;
    return expiresAtMs === null || expiresAtMs > clock.nowMs() ? kept.state : undefined;
  }

  return async (scope, source) => {
    const name = nameOf(scope, source);
    if (name === null) return findSource(scope, source);
    // Taken before the read: what changes during it makes the entry old.
    const generation = generations.current(credentialGeneration(scope.tenantId));
    const kept = keptAs(name, generation);
    if (kept) return kept;
    const state = await findSource(scope, source);
    if (state) known.put(name, { state, generation });
    counts?.misses.add();
    return state;
  };
}

function nameOf(scope: Scope, source: TokenSource): string | null {
  const space = `${scope.tenantId} ${modeOf(scope)}`;
  if (source.kind === 'api_key') return `${space} key ${source.apiKeyId}`;
  if (source.kind === 'client') return `${space} client ${source.oauthClientId} ${source.epoch}`;
  return null;
}
