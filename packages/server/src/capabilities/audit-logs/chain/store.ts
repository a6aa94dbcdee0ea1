import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { auditTables } from '../tables.js';
import type { Checkpoint, CheckpointKey } from './checkpoint.js';
import { auditRowHash, criticalRowHash, NO_HASH, SEALED_COLUMNS } from './row-hash.mjs';

/** A place in a chain: everything up to this row, by its hash. */
export interface ChainPlace {
  readonly sequenceNumber: number;
  readonly rowHash: Buffer;
}

/** One row of a chain as it is stored. */
export interface ChainLink extends ChainPlace {
  readonly prevHash: Buffer;
  /** What its row hashes to now; null where the row is gone. */
  hashOf(prevHash: Buffer): Buffer | null;
}

export interface TrimmableRow extends ChainLink {
  readonly auditId: string;
  readonly createdAtMs: number | null;
}

export const START: ChainPlace = { sequenceNumber: 0, rowHash: NO_HASH };

/** The critical chain's checkpoints; no tenant has an empty id. */
export const CRITICAL_CHAIN = '' as TenantId;

export type ChainStore = ReturnType<typeof createChainStore>;

export function createChainStore(db: Database) {
  const view = db.view(auditTables);
  const countUpTo = view.defineSystem<{ limit: number }, { n: number }>(
    'audit_count_unsealed',
    'sealer',
    (queries, arg) =>
      queries
        .selectFrom(({ selectFrom }) =>
          selectFrom('audit_unsealed').select('position').limit(arg('limit')).as('first'),
        )
        .select(({ fn }) => fn.countAll<number>().as('n')),
  );

  function checkpoints(tenantId: TenantId, tx?: Transaction) {
    return view.system('sealer', tx).selectFrom('audit_checkpoints').where('tenant_id', '=', tenantId);
  }

  return {
    /** Of all tenants; no more than the limit are looked at. */
    async countUnsealedUpTo(limit: number): Promise<number> {
      return (await countUpTo.first(null, { limit }))?.n ?? 0;
    },

    async countUnsealed(tenantId: TenantId): Promise<number> {
      const query = view.scoped({ tenantId }).selectFrom('audit_unsealed');
      const { n } = await query.select((q) => q.fn.countAll<number>().as('n')).executeTakeFirstOrThrow();
      return n;
    },

    async countAllUnsealed(tx: Transaction): Promise<number> {
      const query = view.system('sealer', tx).selectFrom('audit_unsealed');
      const { n } = await query.select((q) => q.fn.countAll<number>().as('n')).executeTakeFirstOrThrow();
      return n;
    },

    /** In the order of their writing; a row that is gone before it was sealed stays in the queue. */
    listUnsealed(tx: Transaction, limit: number) {
      return view
        .system('sealer', tx)
        .selectFrom('audit_unsealed as u')
        .innerJoin('audit_logs as a', (join) =>
          join.onRef('a.tenant_id', '=', 'u.tenant_id').onRef('a.id', '=', 'u.audit_id'),
        )
        .select(['u.position', 'a.tenant_id', ...SEALED_COLUMNS.map((column) => `a.${column}` as const)])
        .orderBy('u.position')
        .limit(limit)
        .execute();
    },

    async headsOf(tenantIds: readonly TenantId[], tx?: Transaction): Promise<Map<TenantId, ChainPlace>> {
      const rows = await view
        .system('sealer', tx)
        .selectFrom('audit_chain_heads')
        .select(['tenant_id', 'sequence_number', 'row_hash'])
        .where('tenant_id', 'in', [...tenantIds])
        .execute();
      return new Map(rows.map((row) => [row.tenant_id, placeOf(row)]));
    },

    async append(
      tx: Transaction,
      rows: readonly (ChainPlace & { tenantId: TenantId; auditId: string; prevHash: Buffer })[],
      heads: ReadonlyMap<TenantId, ChainPlace>,
      positions: readonly number[],
    ): Promise<void> {
      const queries = view.system('sealer', tx);
      const sealed = rows.map((row) => ({
        tenant_id: row.tenantId,
        sequence_number: row.sequenceNumber,
        audit_id: row.auditId,
        prev_hash: row.prevHash,
        row_hash: row.rowHash,
      }));
      await queries.insertInto('audit_chain').values(sealed).execute();
      const ends = [...heads].map(([tenant_id, head]) => ({
        tenant_id,
        sequence_number: head.sequenceNumber,
        row_hash: head.rowHash,
        checkpoint_sequence: 0,
        checkpoint_at: 0,
      }));
      await queries
        .insertInto('audit_chain_heads')
        .values(ends)
        .onConflict((conflict) =>
          conflict.column('tenant_id').doUpdateSet((eb) => ({
            sequence_number: eb.ref('excluded.sequence_number'),
            row_hash: eb.ref('excluded.row_hash'),
          })),
        )
        .execute();
      await queries
        .deleteFrom('audit_unsealed')
        .where('position', 'in', [...positions])
        .execute();
    },

    /** Undefined before the first row. */
    async findHead(tenantId: TenantId): Promise<ChainPlace | undefined> {
      const row = await view
        .scoped({ tenantId })
        .selectFrom('audit_chain_heads')
        .select(['sequence_number', 'row_hash'])
        .executeTakeFirst();
      return row && placeOf(row);
    },

    async bounds(tenantId: TenantId): Promise<{ first: number | null; last: number | null }> {
      return view
        .scoped({ tenantId })
        .selectFrom('audit_chain')
        .select((q) => [q.fn.min('sequence_number').as('first'), q.fn.max('sequence_number').as('last')])
        .executeTakeFirstOrThrow();
    },

    /** Ascending, above `after` up to `upTo`. */
    async links(tenantId: TenantId, after: number, upTo: number, limit: number): Promise<TrimmableRow[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('audit_chain as c')
        .leftJoin('audit_logs as a', 'a.id', 'c.audit_id')
        .select(['c.sequence_number', 'c.audit_id', 'c.prev_hash', 'c.row_hash'])
        .select(SEALED_COLUMNS.map((column) => `a.${column}` as const))
        .where('c.sequence_number', '>', after)
        .where('c.sequence_number', '<=', upTo)
        .orderBy('c.sequence_number')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        sequenceNumber: row.sequence_number,
        prevHash: row.prev_hash,
        rowHash: row.row_hash,
        auditId: row.audit_id,
        createdAtMs: row.created_at,
        hashOf: (prevHash) =>
          row.id === null
            ? null
            : auditRowHash(prevHash, row.sequence_number, { ...row, tenant_id: tenantId }),
      }));
    },

    async criticalHead(tx?: Transaction): Promise<ChainPlace | undefined> {
      const row = await view
        .system('sealer', tx)
        .selectFrom('audit_critical_head')
        .select(['sequence_number', 'row_hash'])
        .executeTakeFirst();
      return row && placeOf(row);
    },

    async criticalLast(): Promise<number | null> {
      const row = await view
        .system('sealer')
        .selectFrom('audit_log_critical')
        .select((q) => q.fn.max('sequence_number').as('last'))
        .executeTakeFirstOrThrow();
      return row.last;
    },

    async criticalLinks(after: number, upTo: number, limit: number): Promise<ChainLink[]> {
      const rows = await view
        .system('sealer')
        .selectFrom('audit_log_critical')
        .selectAll()
        .where('sequence_number', '>', after)
        .where('sequence_number', '<=', upTo)
        .orderBy('sequence_number')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        sequenceNumber: row.sequence_number,
        prevHash: row.prev_hash,
        rowHash: row.row_hash,
        hashOf: (prevHash) => criticalRowHash(prevHash, row.sequence_number, row),
      }));
    },

    /** Those of a stretch, both ends included; the newest of each kind where a bound is open. */
    async listCheckpoints(tenantId: TenantId, from: number, upTo: number): Promise<Checkpoint[]> {
      const rows = await checkpoints(tenantId)
        .selectAll()
        .where('sequence_number', '>=', from)
        .where('sequence_number', '<=', upTo)
        .execute();
      return rows.map(checkpointOf);
    },

    async newestCheckpoint(tenantId: TenantId, kind: Checkpoint['kind']): Promise<Checkpoint | undefined> {
      const row = await checkpoints(tenantId)
        .selectAll()
        .where('kind', '=', kind)
        .orderBy('sequence_number', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && checkpointOf(row);
    },

    /** Chains that have grown since their last checkpoint, by enough rows or enough time. */
    async listDue(sinceMs: number, rowsMin: number, limit: number) {
      const due = await view
        .system('sealer')
        .selectFrom('audit_chain_heads')
        .select(['tenant_id', 'sequence_number', 'row_hash'])
        .where(({ eb, ref, or, and }) =>
          and([
            eb('sequence_number', '>', ref('checkpoint_sequence')),
            or([
              eb('checkpoint_at', '<=', sinceMs),
              eb(eb('sequence_number', '-', ref('checkpoint_sequence')), '>=', rowsMin),
            ]),
          ]),
        )
        .limit(limit)
        .execute();
      const critical = await view
        .system('sealer')
        .selectFrom('audit_critical_head')
        .select(['sequence_number', 'row_hash'])
        .where(({ eb, ref }) => eb('sequence_number', '>', ref('checkpoint_sequence')))
        .where('checkpoint_at', '<=', sinceMs)
        .execute();
      return [
        ...due.map((row) => ({ tenantId: row.tenant_id, ...placeOf(row) })),
        ...critical.map((row) => ({ tenantId: CRITICAL_CHAIN, ...placeOf(row) })),
      ];
    },

    /** False when another process has written as much already. */
    async addCheckpoint(tx: Transaction, checkpoint: Checkpoint): Promise<boolean> {
      const queries = view.system('sealer', tx);
      const { tenantId, sequenceNumber, atMs } = checkpoint;
      const reached = { checkpoint_sequence: sequenceNumber, checkpoint_at: atMs };
      const [result] =
        tenantId === CRITICAL_CHAIN
          ? await queries
              .updateTable('audit_critical_head')
              .set(reached)
              .where('checkpoint_sequence', '<', sequenceNumber)
              .execute()
          : await queries
              .updateTable('audit_chain_heads')
              .set(reached)
              .where('tenant_id', '=', tenantId)
              .where('checkpoint_sequence', '<', sequenceNumber)
              .execute();
      if (result?.numUpdatedRows !== 1n) return false;
      await insertCheckpoint(tx, checkpoint);
      return true;
    },

    /** Rows up to the place of `trim`, with what spoke for them; false when another process was first. */
    async removeTrimmed(
      tx: Transaction,
      trim: Checkpoint,
      first: number,
      auditIds: readonly string[],
    ): Promise<boolean> {
      const { tenantId, sequenceNumber } = trim;
      const queries = view.scoped({ tenantId }, tx);
      const [removed] = await queries
        .deleteFrom('audit_chain')
        .where('sequence_number', '>=', first)
        .where('sequence_number', '<=', sequenceNumber)
        .execute();
      if (removed?.numDeletedRows !== BigInt(auditIds.length)) return false;
      await queries
        .deleteFrom('audit_logs')
        .where('id', 'in', [...auditIds])
        .execute();
      await queries.deleteFrom('audit_checkpoints').where('sequence_number', '<=', sequenceNumber).execute();
      await insertCheckpoint(tx, trim);
      return true;
    },

    async listKeys(): Promise<CheckpointKey[]> {
      const rows = await view.system('root_key').selectFrom('audit_checkpoint_keys').selectAll().execute();
      return rows.map((row) => ({
        keyId: row.key_id,
        publicKey: row.public_key,
        endorsedBy: row.endorsed_by,
        endorsement: row.endorsement,
      }));
    },

    async keepKey(keyId: string, publicKey: Buffer, nowMs: number): Promise<void> {
      await view
        .system('root_key')
        .insertInto('audit_checkpoint_keys')
        .values({
          key_id: keyId,
          public_key: publicKey,
          endorsed_by: null,
          endorsement: null,
          created_at: nowMs,
        })
        .onConflict((conflict) => conflict.column('key_id').doNothing())
        .execute();
    },

    async endorseKey(keyId: string, endorsedBy: string, endorsement: Buffer): Promise<void> {
      await view
        .system('root_key')
        .updateTable('audit_checkpoint_keys')
        .set({ endorsed_by: endorsedBy, endorsement })
        .where('key_id', '=', keyId)
        .execute();
    },

    /** Every tenant that anything of a chain is left of. */
    async listTenants(): Promise<TenantId[]> {
      const queries = view.system('sealer');
      const rows = await queries
        .selectFrom('audit_chain_heads')
        .select('tenant_id')
        .union(queries.selectFrom('audit_checkpoints').select('tenant_id'))
        .union(queries.selectFrom('audit_unsealed').select('tenant_id'))
        .execute();
      return rows.map((row) => row.tenant_id).filter((tenantId) => tenantId !== CRITICAL_CHAIN);
    },
  };

  async function insertCheckpoint(tx: Transaction, checkpoint: Checkpoint): Promise<void> {
    await view
      .system('sealer', tx)
      .insertInto('audit_checkpoints')
      .values({
        tenant_id: checkpoint.tenantId,
        kind: checkpoint.kind,
        sequence_number: checkpoint.sequenceNumber,
        row_hash: checkpoint.rowHash,
        at: checkpoint.atMs,
        key_id: checkpoint.keyId,
        signature: checkpoint.signature,
      })
      .execute();
  }
}

function placeOf(row: { sequence_number: number; row_hash: Buffer }): ChainPlace {
  return { sequenceNumber: row.sequence_number, rowHash: row.row_hash };
}

function checkpointOf(row: {
  tenant_id: TenantId;
  kind: Checkpoint['kind'];
  sequence_number: number;
  row_hash: Buffer;
  at: number;
  key_id: string;
  signature: Buffer;
}): Checkpoint {
  return {
    tenantId: row.tenant_id,
    kind: row.kind,
    sequenceNumber: row.sequence_number,
    rowHash: row.row_hash,
    atMs: row.at,
    keyId: row.key_id,
    signature: row.signature,
  };
}
