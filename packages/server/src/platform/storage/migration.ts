/** Column types by dialect, so that one DDL text serves both (architecture, "Portable schema"). */
export interface ColumnTypes {
  readonly dialect: 'sqlite' | 'postgres';
  /** `TEXT` on SQLite, `TEXT COLLATE "C"` on PostgreSQL. */
  readonly text: string;
  /** 64-bit integer: counts, epoch milliseconds, 0/1 flags. */
  readonly integer: string;
  readonly real: string;
  readonly bytes: string;
  /** A column that the database numbers upwards at insert; it is the primary key on SQLite. */
  readonly rowId: string;
  /** Appended to `CREATE TABLE (...)`: native range partitions on an epoch-ms column (PostgreSQL), nothing on SQLite. */
  partitionedByDay(column: string): string;
}

/** Forward-only. `id` sorts migrations over all capabilities: `0001-tenants`. A released one is never edited. */
export interface Migration {
  readonly id: string;
  readonly file: 'main' | 'log';
  statements(types: ColumnTypes): readonly string[];
  /** Tables split by day on PostgreSQL; the storage layer makes partitions ahead of time. */
  readonly dayPartitioned?: readonly string[];
}
