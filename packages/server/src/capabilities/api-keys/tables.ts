import type { ApiKeyId } from '../../kernel/ids.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { apiKeysMigration } from './migrations/0005-api-keys.js';
import { keyAccessMigration } from './migrations/0015-key-access.js';

interface ApiKeysTable extends TenantModeColumns {
  id: ApiKeyId;
  /** The public half, `tk_live_<id>`. */
  key_id: string;
  /** SHA-256 of the whole key; the key itself is stored nowhere (auth.md §0). */
  key_hash: Buffer;
  key_prefix: string;
  key_type: string;
  name: string;
  created_at: number;
  last_used_at: number | null;
  revoked_at: number | null;
  /** JSON text: `{"full":true}`, or `{"role_ids":[],"grants":[{"permission","resource"}]}`; null = no access. */
  access: string | null;
  rate_limit_requests: number | null;
  rate_limit_window_sec: number | null;
  expires_at: number | null;
}

export interface ApiKeysTables {
  api_keys: ApiKeysTable;
}

export const apiKeysTables: TableSet<ApiKeysTables> = { api_keys: { scope: 'tenant+mode' } };

export const migrations: readonly Migration[] = [apiKeysMigration, keyAccessMigration];
