import type { TenantId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { auditTables } from '../tables.js';
import { criticalRowHash, NO_HASH } from './row-hash.mjs';
import type { ChainPlace } from './store.js';

/** The acts of auth.md §8.2, with those of contract README §3 in the same row. */
const CRITICAL_ACTIONS: ReadonlySet<string> = new Set([
  ...['onboard', 'rotate', 'unseal', 'revoke', 'delete'].map((verb) => `byok.kms.${verb}`),
  ...['create', 'cancel', 'commit', 'credentials.expired'].map((verb) => `migration.${verb}`),
  ...['reveal', 'approve', 'reject', 'expire'].map((verb) => `migration.item.${verb}`),
  ...['create', 'delete'].map((verb) => `migration.db_proxy_route.${verb}`),
  'tenant.impersonate',
  'request_log.anchor',
]);

export function isCritical(action: string): boolean {
  return CRITICAL_ACTIONS.has(action);
}

export interface CriticalRow {
  readonly atMs: number;
  readonly tenantId: TenantId | null;
  readonly actorId: string | null;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  /** RFC 8785 canonical JSON. */
  readonly details: string;
}

const HEAD = 'head';

/** A row of the chain as it is stored. */
export interface CriticalLink {
  readonly tenantId: TenantId | null;
  readonly action: string;
  readonly details: string;
  readonly rowHash: Buffer;
  /** Whether the row still hashes to what it was sealed with. */
  readonly isIntact: boolean;
}

export function createCriticalChain(db: Database) {
  const view = db.view(auditTables);

  /** The number is taken in the transaction of the act, under a lock that the next act waits for. */
  async function append(tx: Transaction, row: CriticalRow): Promise<ChainPlace> {
    await tx.lock('audit_critical_head', HEAD);
    const queries = view.system('sealer', tx);
    const head = await queries
      .selectFrom('audit_critical_head')
      .select(['sequence_number', 'row_hash'])
      .executeTakeFirst();
    const sequence_number = (head?.sequence_number ?? 0) + 1;
    const prev_hash = head?.row_hash ?? NO_HASH;
    const fields = {
      at: row.atMs,
      tenant_id: row.tenantId,
      actor_id: row.actorId,
      action: row.action,
      resource_type: row.resourceType,
      resource_id: row.resourceId,
      details: row.details,
    };
    const row_hash = criticalRowHash(prev_hash, sequence_number, fields);
    await queries
      .insertInto('audit_log_critical')
      .values({ sequence_number, prev_hash, row_hash, ...fields })
      .execute();
    await queries
      .updateTable('audit_critical_head')
      .set({ sequence_number, row_hash })
      .where('id', '=', HEAD)
      .execute();
    return { sequenceNumber: sequence_number, rowHash: row_hash };
  }

  async function find(sequenceNumber: number): Promise<CriticalLink | undefined> {
    const row = await view
      .system('sealer')
      .selectFrom('audit_log_critical')
      .selectAll()
      .where('sequence_number', '=', sequenceNumber)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { prev_hash, row_hash, sequence_number, ...fields } = row;
    return {
      tenantId: row.tenant_id as TenantId | null,
      action: row.action,
      details: row.details,
      rowHash: row_hash,
      isIntact: criticalRowHash(prev_hash, sequence_number, fields).equals(row_hash),
    };
  }

  return { append, find };
}
