import type { Generated } from 'kysely';
import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { dynDbMigration } from './migrations/0028-dyn-db.js';
import { dynDbLiveMigration } from './migrations/0033-dyn-db-live.js';
import type { EngineName, TemplateName } from './providers/engine.js';

/** Those to come are `agent_tunnel`, `ssh_tunnel` and `iam` (dyn-db.md §1). */
export type ExecutionMode = 'direct';

/** `pending` is ours alone: its user may exist already, and nobody has been told of it (dyn-db.md §4). */
export type LeaseStatus = 'pending' | 'active' | 'renewing' | 'errored' | 'expired' | 'revoked';

/** Why a lease ends or has ended. */
export const END_CAUSES = ['expired', 'revoked', 'mint_failed', 'probe', 'forgotten'] as const;
export type EndCause = (typeof END_CAUSES)[number];

export interface ConnectionRow extends TenantModeColumns {
  id: string;
  name: string;
  engine: EngineName;
  execution_mode: ExecutionMode;
  host: string;
  /** Null = the engine's. */
  port: number | null;
  database_name: string | null;
  admin_username: string;
  admin_password_envelope: Buffer;
  /** The password that a rotation is about to set, or has set: which of the two it is a log-in tells. */
  next_password_envelope: Buffer | null;
  default_ttl_seconds: number;
  max_ttl_seconds: number;
  /** JSON text, as on the wire. */
  connect_options: string;
  username_template: string | null;
  max_live_leases: number | null;
  enabled: number;
  created_at: number;
  updated_at: number;
}

/** The group role of a template; all null for a role with statements of its own. */
interface GroupColumns {
  template: TemplateName | null;
  group_name: string | null;
  /** JSON text, a list; null = every schema. */
  group_schemas: string | null;
}

export interface RoleRow extends TenantModeColumns, GroupColumns {
  id: string;
  connection_id: string;
  name: string;
  creation_sql: string;
  revocation_sql: string;
  /** 1 = the group role was made; it is made at the next mint otherwise. */
  is_group_made: number;
  default_ttl_seconds: number | null;
  max_ttl_seconds: number | null;
  username_template: string | null;
  max_live_leases: number | null;
  created_at: number;
  updated_at: number;
}

export interface LeaseRow extends TenantModeColumns, GroupColumns {
  id: Generated<number>;
  connection_id: string;
  connection_name: string;
  role_id: string;
  role_name: string;
  engine: EngineName;
  username: string;
  creation_sql: string;
  revocation_sql: string;
  /** The public half of a key, or the id of a user. */
  actor: string;
  status: LeaseStatus;
  ttl_seconds: number;
  issued_at: number;
  expires_at: number;
  max_expires_at: number;
  /** Failures since the last success. */
  attempts: number;
  /** When a worker looks at it; null = it has ended. */
  next_attempt_at: number | null;
  last_error: string | null;
  /** Who has it at hand, another one for each claim: what he writes is refused once the row has another owner. */
  claim_owner: string | null;
  claim_until: number | null;
  /** Null while it lives until its expiry. */
  end_cause: EndCause | null;
  ended_at: number | null;
}

export interface DynDbTables {
  dyn_db_connections: ConnectionRow;
  dyn_db_roles: RoleRow;
  dyn_db_leases: LeaseRow;
}

export const dynDbTables: TableSet<DynDbTables> = {
  dyn_db_connections: { scope: 'tenant+mode' },
  dyn_db_roles: { scope: 'tenant+mode' },
  dyn_db_leases: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [dynDbMigration, dynDbLiveMigration];
