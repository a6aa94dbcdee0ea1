import type { Scope, TenantId, TokenId, VaultId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { vaultTables } from '../tables.js';

/** A card that is to be told of. */
export interface DueNotice {
  readonly scope: Scope;
  readonly tokenId: TokenId;
  readonly vaultId: VaultId;
  readonly vaultName: string;
  readonly cardExpiresOn: string;
  readonly noticeAtMs: number;
  readonly expiresAtMs: number | null;
}

export type NoticeStore = ReturnType<typeof createNoticeStore>;

export function createNoticeStore(db: Pick<Database, 'view'>) {
  const view = db.view(vaultTables);

  return {
    /** Of all tenants and modes, those that have waited longest first. */
    async due(tx: Transaction, nowMs: number, rowsMax: number): Promise<DueNotice[]> {
      const rows = await view
        .system('card_notices', tx)
        .selectFrom('vault_tokens as t')
        .innerJoin('vaults as v', (join) =>
          join
            .onRef('v.tenant_id', '=', 't.tenant_id')
            .onRef('v.sandbox', '=', 't.sandbox')
            .onRef('v.id', '=', 't.vault_id'),
        )
        .select([
          't.tenant_id',
          't.sandbox',
          't.id',
          't.vault_id',
          'v.name',
          't.card_expires_on',
          't.expiry_notice_at',
          't.expires_at',
        ])
        .where('t.expiry_notice_at', '<=', nowMs)
        .where('t.card_expires_on', 'is not', null)
        .orderBy('t.expiry_notice_at')
        .limit(rowsMax)
        .$narrowType<{ card_expires_on: string; expiry_notice_at: number }>()
        .execute();
      return rows.map((row) => ({
        scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
        tokenId: row.id as TokenId,
        vaultId: row.vault_id as VaultId,
        vaultName: row.name,
        cardExpiresOn: row.card_expires_on,
        noticeAtMs: row.expiry_notice_at,
        expiresAtMs: row.expires_at,
      }));
    },

    /** When the token is told of next; null = never again. */
    async setNext(tx: Transaction, { scope, tokenId }: DueNotice, nextAtMs: number | null): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('vault_tokens')
        .set({ expiry_notice_at: nextAtMs })
        .where('id', '=', tokenId)
        .execute();
    },
  };
}
