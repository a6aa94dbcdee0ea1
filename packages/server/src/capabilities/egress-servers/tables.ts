import type { EgressServerKind } from '../../platform/egress/egress.js';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { egressServersMigration } from './migrations/0060-egress-servers.js';

export interface EgressServerRow extends TenantModeColumns {
  id: string;
  name: string;
  kind: EgressServerKind;
  address: string;
  /** Null of `source_address`. */
  port: number | null;
  /** Both or neither. */
  username: string | null;
  password_envelope: Buffer | null;
  failover_id: string | null;
  enabled: number;
  /** One more with each change: connections of one version serve no other. */
  version: number;
  created_at: number;
  updated_at: number;
}

export interface EgressDefaultRow extends TenantModeColumns {
  egress_server_id: string | null;
  updated_at: number;
}

export const egressServerTables: TableSet<{
  egress_servers: EgressServerRow;
  egress_defaults: EgressDefaultRow;
}> = {
  egress_servers: { scope: 'tenant+mode' },
  egress_defaults: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [egressServersMigration];
