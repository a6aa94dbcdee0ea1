import type { CapabilityAction } from '../../kernel/principal.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { Maker } from '../authentication/index.js';
import { clientTokensMigration } from './migrations/0050-client-tokens.js';

export interface ClientTokenRow extends TenantModeColumns {
  id: string;
  token_hash: Buffer;
  action: CapabilityAction;
  /** Of what it may open; null of tokenize. */
  data_hash: Buffer | null;
  /** Null = none is pinned. */
  role: string | null;
  vault_id: string | null;
  /** JSON, sorted; null = any. */
  origins: string | null;
  maker_kind: Maker['kind'];
  maker_id: string;
  /** Tries with what it was not made for. */
  misses: number;
  created_at: number;
  expires_at: number;
}

export interface ClientTokenUseRow extends TenantModeColumns {
  token_id: string;
  used_at: number;
}

export interface ClientTokenTables {
  client_tokens: ClientTokenRow;
  client_token_uses: ClientTokenUseRow;
}

export const USES = 'client_token_uses';

export const clientTokenTables: TableSet<ClientTokenTables> = {
  client_tokens: { scope: 'tenant+mode' },
  client_token_uses: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [clientTokensMigration];
