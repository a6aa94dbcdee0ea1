import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Logger } from '../log/logger.js';
import type { Database } from '../storage/database.js';
import { type Allowance, LocalAllowance } from './allowance.js';
import type { LimitRule } from './meters.js';
import { RedisAllowance, type SharedCounter } from './redis-allowance.js';
import { SlicedAllowance } from './sliced-allowance.js';
import { createRateLimitStore } from './store.js';

export interface RateLimiterDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  /** The one count of all processes, where `REDIS_URL` names it. */
  readonly counter: SharedCounter | null;
}

export interface RateLimiter {
  /** The same one for the same name and rule; a changed rule begins a count of its own. */
  allowance(scope: Scope, name: string, rule: LimitRule): Allowance;
  /** Of keys that are gone and of plans that were; returns how many rows. */
  removeExpired(rowsMax: number): Promise<number>;
  /** Gives back what this process holds of shared counts. */
  stop(): Promise<void>;
}

/**
 * Limits of requests. In memory on an embedded database, which one process has to itself; in slices of shared rows on
 * PostgreSQL; exact in Redis, with the former as what remains when Redis is gone.
 */
export function createRateLimiter(deps: RateLimiterDeps): RateLimiter {
  const { db, clock, logger, counter } = deps;
  const store = createRateLimitStore(db);
  const allowances = new Map<string, Allowance>();
  const sliced = new Map<string, SlicedAllowance>();

  function make(scope: Scope, name: string, fullName: string, rule: LimitRule): Allowance {
    const own =
      db.dialect === 'sqlite' ? new LocalAllowance(rule, clock) : slicedOf(scope, name, fullName, rule);
    return counter === null
      ? own
      : new RedisAllowance(rule, { name: fullName, counter, clock, fallback: own });
  }

  function slicedOf(scope: Scope, name: string, fullName: string, rule: LimitRule): SlicedAllowance {
    const made = new SlicedAllowance(rule, { scope, name, store, clock });
    sliced.set(fullName, made);
    return made;
  }

  return {
    allowance(scope, givenName, rule) {
      const name = `${givenName}:${rule.kind}:${rule.requests}/${rule.windowSec}`;
      const fullName = `${scope.tenantId}:${scope.sandbox ? 'test' : 'live'}:${name}`;
      const known = allowances.get(fullName);
      if (known) return known;
      const oldest = allowances.keys().next();
      if (allowances.size >= LIMITS.rateLimitsKept && !oldest.done) {
        allowances.delete(oldest.value);
        sliced.delete(oldest.value);
      }
      const made = make(scope, name, fullName, rule);
      allowances.set(fullName, made);
      return made;
    },

    removeExpired: (rowsMax) => store.removeExpired(clock.nowMs(), rowsMax),

    async stop() {
      for (const allowance of sliced.values()) {
        try {
          await allowance.release();
        } catch (error) {
          // The database is gone: every further one would only wait for it as well.
          logger.warn({ err: error }, 'slices of rate limits were not given back');
          return;
        }
      }
    },
  };
}
