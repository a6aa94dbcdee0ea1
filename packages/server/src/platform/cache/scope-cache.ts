import { modeOf, type Scope } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import { createTurns } from '../../kernel/share.js';
import type { Transaction } from '../storage/database.js';
import type { Generations } from './generations.js';
import { type CacheCounts, createLru } from './lru.js';

/** What the hot path knows of a tenant and mode: read as a whole, and kept until a change of it is committed anywhere. */
export interface ScopeCache<V> {
  /** At once but for the first call after a change. */
  get(scope: Scope): Promisable<V>;
  /** With every change, in its transaction. */
  changed(tx: Transaction, scope: Scope): Promise<void>;
}

export interface ScopeCacheOptions<V> {
  /** Of its generations, `<name>:<tenant>:<mode>`. */
  readonly name: string;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly counts?: CacheCounts | undefined;
  /** 1 unless given, and how much is kept together: for values that can be large. */
  readonly weigh?: (value: V) => number;
  readonly weightMax?: number;
  load(scope: Scope): Promise<V>;
}

const SCOPES_MAX = 1_000;

export function createScopeCache<V>({
  name,
  generations,
  counts,
  weigh,
  weightMax = SCOPES_MAX,
  load,
}: ScopeCacheOptions<V>): ScopeCache<V> {
  const kept = createLru<string, V>({
    entriesMax: weightMax,
    generation: (generation) => generations.current(generation),
    isFresh: () => generations.isFresh(),
    ...(counts && { counts }),
    ...(weigh && { weigh }),
  });
  const inTurn = createTurns<V>();
  const generationOf = generationNames(name);
  return {
    get(scope) {
      const generation = generationOf(scope);
      return kept.get(generation) ?? kept.load(generation, async () => inTurn(generation, () => load(scope)));
    },
    changed: createScopeGeneration(name, generations),
  };
}

/** For whoever changes what such a cache holds and has no other use for it. */
export function createScopeGeneration(
  name: string,
  generations: Pick<Generations, 'bump'>,
): ScopeCache<unknown>['changed'] {
  return (tx, scope) => generations.bump(tx, generationName(name, scope));
}

/**
 * The names of the generations that such a cache goes by. Callers that are known from before come with the same object: put
 * together at each call, a name would have to be hashed each time, too.
 */
export function generationNames(name: string): (scope: Scope) => string {
  const known = new WeakMap<Scope, string>();
  return (scope) => {
    const made = known.get(scope);
    if (made !== undefined) return made;
    const text = generationName(name, scope);
    known.set(scope, text);
    return text;
  };
}

function generationName(name: string, scope: Scope): string {
  return `${name}:${scope.tenantId}:${modeOf(scope)}`;
}
