import type { Selectable } from 'kysely';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { sha256Hex } from '../../../platform/crypto/hashing.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type EgressObservationRow, wrapTables } from '../tables.js';
import type { Observation } from './judging.js';

/** As it is kept: of all reports together. */
export interface KeptObservation extends Observation {
  readonly sdk: string;
  readonly reportedAtMs: number;
}

export function createObservationStore(db: Database) {
  const view = db.view(wrapTables);

  return {
    /** What is kept of these kinds, by `kindOf`. */
    async kept(tx: Transaction, scope: Scope, ids: readonly string[]): Promise<Map<string, KeptObservation>> {
      if (ids.length === 0) return new Map();
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('egress_observations')
        .selectAll()
        .where('id', 'in', ids)
        .execute();
      return new Map(rows.map((row) => [row.id, keptOf(row)]));
    },

    async count(tx: Transaction, scope: Scope): Promise<number> {
      const { total } = await view
        .scoped(scope, tx)
        .selectFrom('egress_observations')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return total;
    },

    async insert(tx: Transaction, scope: Scope, id: string, kept: KeptObservation): Promise<void> {
      await view
        .scoped(scope, tx)
        .insertInto('egress_observations')
        .values({
          id,
          sdk: kept.sdk,
          host: kept.host,
          first_segment: kept.firstSegment,
          method: kept.method,
          header_name: kept.headerName,
          ...countsOf(kept),
        })
        .execute();
    },

    async update(tx: Transaction, scope: Scope, id: string, kept: KeptObservation): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('egress_observations')
        .set(countsOf(kept))
        .where('id', '=', id)
        .execute();
    },

    /** All of them, the one last seen first. */
    async list(scope: Scope): Promise<KeptObservation[]> {
      const rows = await view
        .aside(scope)
        .selectFrom('egress_observations')
        .selectAll()
        .orderBy('last_seen', 'desc')
        .orderBy('id')
        .limit(LIMITS.egressObservationKindsMax)
        .execute();
      return rows.map(keptOf);
    },

    /** At most so many; how many. */
    async removeOld(tx: Transaction, beforeMs: number, rowsMax: number): Promise<number> {
      const old = await view
        .system('retention', tx)
        .selectFrom('egress_observations')
        .select(['tenant_id', 'sandbox', 'id'])
        .where('reported_at', '<=', beforeMs)
        .orderBy('reported_at')
        .limit(rowsMax)
        .execute();
      for (const { tenant_id, sandbox, id } of old) {
        const scope = { tenantId: tenant_id as TenantId, sandbox: sandbox === 1 };
        await view.scoped(scope, tx).deleteFrom('egress_observations').where('id', '=', id).execute();
      }
      return old.length;
    },
  };
}

/** Its id: what tells it from other kinds. */
export function kindOf(sdk: string, { host, firstSegment, method, headerName }: Observation): string {
  return sha256Hex(JSON.stringify([sdk, host, firstSegment, method, headerName]));
}

function countsOf(kept: KeptObservation) {
  return {
    call_count: kept.count,
    first_seen: kept.firstSeenMs,
    last_seen: kept.lastSeenMs,
    reported_at: kept.reportedAtMs,
  };
}

function keptOf(row: Selectable<EgressObservationRow>): KeptObservation {
  return {
    sdk: row.sdk,
    host: row.host,
    firstSegment: row.first_segment,
    method: row.method,
    headerName: row.header_name,
    count: row.call_count,
    firstSeenMs: row.first_seen,
    lastSeenMs: row.last_seen,
    reportedAtMs: row.reported_at,
  };
}
