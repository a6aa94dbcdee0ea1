import { modeOf, type Scope } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import type { Generations } from '../../platform/cache/generations.js';
import { createLru } from '../../platform/cache/lru.js';
import { createScopeGeneration, generationNames } from '../../platform/cache/scope-cache.js';
import type { SecretReference } from './types.js';
import type { SecretInUse, SecretValueStore } from './value-store.js';

/** Secrets as calls find them, sealed: until a change of one of the tenant and mode is committed anywhere. */
export interface SecretsInUse {
  /** At once where it is known. Undefined where there is none, which is not kept. */
  find(
    scope: Scope,
    reference: SecretReference,
    environment: string | null,
  ): Promisable<SecretInUse | undefined>;
  /** What is known; undefined where it has to be read. */
  known(scope: Scope, reference: SecretReference, environment: string | null): SecretInUse | undefined;
  /** Not what is known: for who could not open that. */
  findAnew(
    scope: Scope,
    reference: SecretReference,
    environment: string | null,
  ): Promise<SecretInUse | undefined>;
}

interface Kept {
  readonly found: SecretInUse;
  readonly generation: number;
}

const SECRET_GENERATIONS = 'secrets';
/** Of all tenants together, in KiB and a little for each. */
const KEPT_KIB = 65_536;
/** An envelope and its value take twice the room; up to that length also what answers are searched with (`redaction/echo`). */
const SEARCHED_BYTES_MAX = 4_096;
const SEARCHED_TIMES = 48;

/** For whoever writes secrets or their values, in its transaction. */
export function createSecretsChanged(generations: Pick<Generations, 'bump'>) {
  return createScopeGeneration(SECRET_GENERATIONS, generations);
}

export function createSecretsInUse(
  valueStore: Pick<SecretValueStore, 'inUse'>,
  generations: Pick<Generations, 'current' | 'isFresh'>,
): SecretsInUse {
  const kept = createLru<string, Kept>({
    entriesMax: KEPT_KIB,
    weigh: ({ found }) => weightOf(found.value?.envelope.length ?? 0),
    isFresh: () => generations.isFresh(),
  });

  const generationName = generationNames(SECRET_GENERATIONS);
  const generationOf = (scope: Scope) => generations.current(generationName(scope));

  async function read(key: string, ...args: Parameters<SecretsInUse['findAnew']>) {
    const generation = generationOf(args[0]);
    const found = await valueStore.inUse(...args);
    if (found) kept.put(key, { found, generation });
    return found;
  }

  function knownAs(key: string, scope: Scope): SecretInUse | undefined {
    const known = kept.get(key);
    return known?.generation === generationOf(scope) ? known.found : undefined;
  }

  return {
    find(scope, reference, environment) {
      const key = keyOf(scope, reference, environment);
      return knownAs(key, scope) ?? read(key, scope, reference, environment);
    },
    known: (scope, reference, environment) => knownAs(keyOf(scope, reference, environment), scope),
    findAnew: (scope, reference, environment) =>
      read(keyOf(scope, reference, environment), scope, reference, environment),
  };
}

function weightOf(bytes: number): number {
  return 1 + Math.ceil((bytes * (bytes <= SEARCHED_BYTES_MAX ? SEARCHED_TIMES : 2)) / 1024);
}

/** Names of environments hold no space. */
function keyOf(scope: Scope, { by, text }: SecretReference, environment: string | null): string {
  return `${scope.tenantId} ${modeOf(scope)} ${environment ?? ''} ${by} ${text}`;
}
