import type { TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { bindingOf, type FoundBinding } from '../store.js';
import { oidcBindingTables } from '../tables.js';

/** The questions that are asked of the whole installation: auth.md §4 has them, and nothing else of the capability does. */
export function createExchangeStore(db: Database) {
  const view = db.view(oidcBindingTables);

  return {
    /** False where the assertion was spent before, in whatever tenant. */
    async spend(tx: Transaction, assertionHash: Buffer, expiresAtMs: number): Promise<boolean> {
      const row = await view
        .system('workload_identity', tx)
        .insertInto('oidc_assertions')
        .values({ assertion_hash: assertionHash, expires_at: expiresAtMs })
        .onConflict((conflict) => conflict.column('assertion_hash').doNothing())
        .returning('assertion_hash')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** The first tenant stays. */
    async claimSubject(
      tx: Transaction,
      subjectHash: Buffer,
      tenantId: TenantId,
      nowMs: number,
    ): Promise<void> {
      await view
        .system('workload_identity', tx)
        .insertInto('oidc_subject_claims')
        .values({ subject_hash: subjectHash, tenant_id: tenantId, claimed_at: nowMs })
        .onConflict((conflict) => conflict.column('subject_hash').doNothing())
        .execute();
    },

    async claimant(subjectHash: Buffer): Promise<TenantId | null> {
      const row = await view
        .system('workload_identity')
        .selectFrom('oidc_subject_claims')
        .select('tenant_id')
        .where('subject_hash', '=', subjectHash)
        .executeTakeFirst();
      return row?.tenant_id ?? null;
    },

    /**
     * Bindings of every tenant in one mode that have one of these anchors, those that are off or were deleted in the last
     * 90 days too. At most `rowsMax`.
     */
    async findByAnchors(
      sandbox: boolean,
      anchors: readonly Buffer[],
      nowMs: number,
      rowsMax: number,
    ): Promise<FoundBinding[]> {
      const rows = await view
        .system('workload_identity')
        .selectFrom('oidc_binding_anchors as a')
        .innerJoin('oidc_bindings as b', (join) =>
          join
            .onRef('b.tenant_id', '=', 'a.tenant_id')
            .onRef('b.sandbox', '=', 'a.sandbox')
            .onRef('b.id', '=', 'a.binding_id'),
        )
        .selectAll('b')
        .where('a.anchor', 'in', [...anchors])
        .where('a.sandbox', '=', sandbox ? 1 : 0)
        .where((where) =>
          where.or([
            where('b.deleted_at', 'is', null),
            where('b.deleted_at', '>', nowMs - LIMITS.oidcBindingKeptMs),
          ]),
        )
        .limit(rowsMax)
        .execute();
      return rows.map((row) => ({ ...bindingOf(row), tenantId: row.tenant_id }));
    },

    async removeSpent(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('oidc_assertions')
        .select('assertion_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      const hashes = ended.map(({ assertion_hash }) => assertion_hash);
      if (hashes.length > 0)
        await queries.deleteFrom('oidc_assertions').where('assertion_hash', 'in', hashes).execute();
      return hashes.length;
    },

    /** Bindings that were deleted 90 days ago, and by what they were found. */
    async removeDeleted(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const beforeMs = nowMs - LIMITS.oidcBindingKeptMs;
      const ended = await queries
        .selectFrom('oidc_bindings')
        .select('id')
        .where('deleted_at', '<=', beforeMs)
        .orderBy('deleted_at')
        .limit(rowsMax)
        .execute();
      const ids = ended.map(({ id }) => id);
      if (ids.length > 0) {
        await queries.deleteFrom('oidc_binding_anchors').where('binding_id', 'in', ids).execute();
        // The time is asked again for its index: ids are found by tenant and mode alone.
        await queries
          .deleteFrom('oidc_bindings')
          .where('deleted_at', '<=', beforeMs)
          .where('id', 'in', ids)
          .execute();
      }
      return ids.length;
    },
  };
}

export type ExchangeStore = ReturnType<typeof createExchangeStore>;
