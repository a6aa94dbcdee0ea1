import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { createShare } from '../../kernel/share.js';
import type { Resolution, Resolver } from './resolver.js';

/** A name as one tenant's policy sees it, with what was decided about its addresses for each port asked so far. */
export interface ResolvedName<Verdict> {
  readonly resolution: Resolution;
  readonly verdicts: Map<number, Verdict>;
}

/**
 * Answers kept by (policy, name) for min(TTL, 60 s), failures for 5 s, at most 10,000 (contract README §7). One look-up
 * serves all who ask meanwhile. A tenant has a fixed number of look-ups under way; its further ones queue behind its
 * own, so that silent names of one tenant delay no other (ssrf cases S127).
 */
export interface JudgedNames<Verdict> {
  /** The kept answer. */
  known(name: string, policyKey: string): ResolvedName<Verdict> | null;
  /** The kept answer, or that of the look-up under way or just begun. */
  resolve(name: string, policyKey: string): Promise<ResolvedName<Verdict>>;
  clear(): void;
}

export const LOOKUPS_PER_POLICY_MAX = 64;
export const LOOKUPS_QUEUED_MAX = 256;

const OVERLOADED: Resolution = {
  kind: 'none',
  reason: 'servers_failed',
  detail: 'too many look-ups under way',
};

interface Entry<Verdict> {
  readonly name: ResolvedName<Verdict>;
  readonly expiresAtMs: number;
}

interface Lane {
  active: number;
  readonly waiting: (() => void)[];
}

export function createJudgedNames<Verdict>(deps: { clock: Clock; resolver: Resolver }): JudgedNames<Verdict> {
  const { clock, resolver } = deps;
  const kept = new Map<string, Entry<Verdict>>();
  const share = createShare<ResolvedName<Verdict>>();
  const lanes = new Map<string, Lane>();
  let generation = 0;

  async function inLane(policyKey: string, name: string): Promise<Resolution> {
    const lane = lanes.get(policyKey) ?? { active: 0, waiting: [] };
    lanes.set(policyKey, lane);
    if (lane.active < LOOKUPS_PER_POLICY_MAX) lane.active++;
    else if (lane.waiting.length >= LOOKUPS_QUEUED_MAX) return OVERLOADED;
    else await new Promise<void>((resolve) => lane.waiting.push(resolve));
    try {
      return await resolver.resolve(name);
    } finally {
      // The place goes to the next in the lane, or is given back.
      const next = lane.waiting.shift();
      if (next) next();
      else if (--lane.active === 0) lanes.delete(policyKey);
    }
  }

  async function lookUp(key: string, name: string, policyKey: string): Promise<ResolvedName<Verdict>> {
    const startedIn = generation;
    const resolution = await inLane(policyKey, name);
    const resolved: ResolvedName<Verdict> = { resolution, verdicts: new Map() };
    const keepMs =
      resolution.kind === 'found'
        ? Math.min(resolution.ttlMs, LIMITS.judgedNameTtlMs)
        : LIMITS.failedNameTtlMs;
    if (keepMs > 0 && resolution !== OVERLOADED && startedIn === generation) {
      keep(key, { name: resolved, expiresAtMs: clock.monotonicMs() + keepMs });
    }
    return resolved;
  }

  function keep(key: string, entry: Entry<Verdict>): void {
    kept.delete(key);
    kept.set(key, entry);
    if (kept.size > LIMITS.judgedNamesMax) kept.delete(kept.keys().next().value!);
  }

  function known(key: string): ResolvedName<Verdict> | null {
    const entry = kept.get(key);
    return entry && clock.monotonicMs() < entry.expiresAtMs ? entry.name : null;
  }

  return {
    known: (name, policyKey) => known(keyOf(name, policyKey)),
    resolve(name, policyKey) {
      const key = keyOf(name, policyKey);
      const entry = known(key);
      if (entry) return Promise.resolve(entry);
      return share(key, () => lookUp(key, name, policyKey));
    },
    clear() {
      generation++;
      kept.clear();
    },
  };
}

function keyOf(name: string, policyKey: string): string {
  return `${policyKey} ${name}`;
}
