import type { ColumnType } from 'kysely';
import type { TenantId } from '../../kernel/ids.js';
import type { ColumnTypes } from './migration.js';

/** Row type of the column that scoped tables carry: filled in by the handle, never updated. */
export type TenantColumn = ColumnType<TenantId, TenantId | undefined, never>;
/** 0 for live, 1 for test. */
export type SandboxColumn = ColumnType<0 | 1, 0 | 1 | undefined, never>;

export interface TenantColumns {
  tenant_id: TenantColumn;
}

export interface TenantModeColumns extends TenantColumns {
  sandbox: SandboxColumn;
}

export const SQLITE_COLUMNS: ColumnTypes = {
  dialect: 'sqlite',
  text: 'TEXT',
  integer: 'INTEGER',
  real: 'REAL',
  bytes: 'BLOB',
  rowId: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  partitionedByDay: () => '',
};

/** `COLLATE "C"` orders text by its UTF-8 bytes, which is what SQLite does. */
export const POSTGRES_COLUMNS: ColumnTypes = {
  dialect: 'postgres',
  text: 'TEXT COLLATE "C"',
  integer: 'BIGINT',
  real: 'DOUBLE PRECISION',
  bytes: 'BYTEA',
  rowId: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  partitionedByDay: (column) => ` PARTITION BY RANGE (${column})`,
};
