import type { Clock } from '../../kernel/clock.js';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { JobPayload } from '../../platform/jobs/definition.js';
import type { Database } from '../../platform/storage/database.js';
import type { ApiLogStore } from './store.js';

export interface WalkOptions {
  /** What the last run left, whoever ran it. */
  readonly payload: JobPayload;
  isStopping(): boolean;
  visit(scope: Scope): Promise<Visited>;
}

/** What was done for a tenant and mode; where it is not over, another run shall go on with it. */
export interface Visited {
  readonly rows: number;
  readonly isOver: boolean;
}

export interface Walked {
  readonly rows: number;
  /** For the next run. */
  readonly payload: JobPayload;
  readonly isOver: boolean;
}

export interface ScopeWalk {
  /** Every tenant and mode that may have rows since the walk before the last one, in turn, over as many runs as it takes. */
  walk(options: WalkOptions): Promise<Walked>;
}

const DAY_MS = 86_400_000;
const WALK_MS = 60_000;

/**
 * Tenants are found by steps through the log's index. On PostgreSQL, where that looks into each day, only days are looked into
 * that a walk which ended has not seen over: none of a call that began more than a day before its row was written.
 */
export function createScopeWalk(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  store: Pick<ApiLogStore, 'nextTenant'>,
): ScopeWalk {
  const dayBefore = (ms: number) => (Math.floor(ms / DAY_MS) - 1) * DAY_MS;

  return {
    async walk({ payload, isStopping, visit }) {
      const endMs = clock.monotonicMs() + WALK_MS;
      const begunMs = numberOf(payload.begun_ms) ?? clock.nowMs();
      const sinceMs = numberOf(payload.since_ms);
      const seenMs = db.dialect === 'postgres' ? sinceMs : null;
      let after = typeof payload.after === 'string' ? (payload.after as TenantId) : null;
      let rows = 0;
      const rest = () => ({
        rows,
        payload: {
          begun_ms: begunMs,
          ...(sinceMs !== null && { since_ms: sinceMs }),
          ...(after && { after }),
        },
        isOver: false,
      });
      for (;;) {
        const tenantId = await store.nextTenant(after, seenMs);
        if (tenantId === null) return { rows, payload: { since_ms: dayBefore(begunMs) }, isOver: true };
        for (const sandbox of [false, true]) {
          if (isStopping() || clock.monotonicMs() >= endMs) return rest();
          const visited = await visit({ tenantId, sandbox });
          rows += visited.rows;
          if (!visited.isOver) return rest();
        }
        after = tenantId;
      }
    },
  };
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}
