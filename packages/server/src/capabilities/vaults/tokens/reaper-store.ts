import type { Scope, TenantId, TokenId, VaultId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { vaultTables } from '../tables.js';

/** A vault, told from those of all other tenants and modes. */
export interface VaultPlace {
  readonly scope: Scope;
  readonly id: VaultId;
}

export interface VisitedVault extends VaultPlace {
  readonly name: string;
  readonly holdsExpired: boolean;
}

export type ReaperStore = ReturnType<typeof createReaperStore>;

export function createReaperStore(db: Pick<Database, 'view'>) {
  const view = db.view(vaultTables);

  return {
    /** The next vaults of the installation, in the order of their keys; the index answers for each in one probe. */
    async vaultsAfter(place: VaultPlace | null, nowMs: number, vaultsMax: number): Promise<VisitedVault[]> {
      let query = view
        .system('retention')
        .selectFrom('vaults')
        .select((eb) => [
          'vaults.tenant_id',
          'vaults.sandbox',
          'vaults.id',
          'vaults.name',
          eb
            .selectFrom('vault_tokens as t')
            .select('t.expires_at')
            .whereRef('t.tenant_id', '=', 'vaults.tenant_id')
            .whereRef('t.sandbox', '=', 'vaults.sandbox')
            .whereRef('t.vault_id', '=', 'vaults.id')
            .where('t.expires_at', '<=', nowMs)
            .limit(1)
            .as('first_expiry'),
        ])
        .orderBy('vaults.tenant_id')
        .orderBy('vaults.sandbox')
        .orderBy('vaults.id')
        .limit(vaultsMax);
      if (place) {
        const { tenantId, sandbox } = place.scope;
        query = query.where(({ eb, refTuple, tuple }) =>
          eb(
            refTuple('tenant_id', 'sandbox', 'id'),
            '>',
            tuple<TenantId, 0 | 1, string>(tenantId, sandbox ? 1 : 0, place.id),
          ),
        );
      }
      return (await query.execute()).map((row) => ({
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        id: row.id as VaultId,
        name: row.name,
        holdsExpired: row.first_expiry !== null,
      }));
    },

    /** At most `rowsMax` expired tokens of the vault; returns how many there were. */
    async deleteExpired(
      tx: Transaction,
      { scope, id }: VaultPlace,
      nowMs: number,
      rowsMax: number,
    ): Promise<number> {
      const queries = view.scoped(scope, tx);
      const rows = await queries
        .selectFrom('vault_tokens')
        .select('id')
        .where('vault_id', '=', id)
        .where('expires_at', '<=', nowMs)
        .limit(rowsMax)
        .execute();
      if (rows.length === 0) return 0;
      const ids = rows.map((row) => row.id as TokenId);
      await queries.deleteFrom('vault_tokens').where('id', 'in', ids).execute();
      return ids.length;
    },
  };
}
