import { createHash } from 'node:crypto';
import type { Clock } from '../../kernel/clock.js';
import type { FileName } from './engine.js';
import type { ColumnTypes, Migration } from './migration.js';

/** A database that this version must not touch; the text says what to do about it. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/** Where migrations run: one transaction per call, under a lock that keeps other processes out. */
export interface MigrationTarget {
  readonly types: ColumnTypes;
  query(sql: string): Promise<Record<string, unknown>[]>;
  execute(sql: string): Promise<void>;
  /** Runs an insert of one row. */
  insert(table: string, row: Readonly<Record<string, string | number>>): Promise<void>;
}

const TABLE = 'schema_migrations';

/** Stands among the applied migrations of a database that a copy is being written to: no version starts on it. */
export const UNFINISHED_COPY: Migration = {
  id: 'unfinished-storage-copy',
  file: 'main',
  statements: () => [],
};

/** Runs what is missing, in the order of the ids. The caller has opened a transaction and holds the lock. */
export async function migrate(
  target: MigrationTarget,
  migrations: readonly Migration[],
  file: FileName | 'all',
  clock: Clock,
): Promise<void> {
  const { text, integer } = target.types;
  await target.execute(
    `CREATE TABLE IF NOT EXISTS ${TABLE} (id ${text} PRIMARY KEY, checksum ${text} NOT NULL, applied_at ${integer} NOT NULL)`,
  );
  const ordered = inOrder(migrations).filter((migration) => file === 'all' || migration.file === file);
  const applied = new Map(
    (await target.query(`SELECT id, checksum FROM ${TABLE}`)).map((row) => [
      String(row.id),
      String(row.checksum),
    ]),
  );
  assertKnown([...applied.keys()], ordered);
  for (const migration of ordered) {
    const statements = migration.statements(target.types);
    const checksum = checksumOf(statements);
    const known = applied.get(migration.id);
    if (known === checksum) continue;
    if (known !== undefined) throw editedMigration(migration.id);
    for (const statement of statements) await target.execute(statement);
    await target.insert(TABLE, { id: migration.id, checksum, applied_at: clock.nowMs() });
  }
}

/** For who reads only: the tables must be those of this version, neither older nor newer. */
export function assertMigrated(applied: readonly string[], known: readonly string[]): void {
  const missing = known.filter((id) => !applied.includes(id));
  const unknown = applied.filter((id) => !known.includes(id));
  if (missing.length + unknown.length === 0) return;
  throw new MigrationRefused(
    `the database was last used by another version (${[...missing, ...unknown].sort().join(', ')}): ` +
      'run the command of that version, or start this version on it first',
  );
}

/** Throws unless exactly these have been applied; `applied` is the database's own record of ids and checksums. */
export function assertApplied(
  applied: ReadonlyMap<string, string>,
  migrations: readonly Migration[],
  types: ColumnTypes,
): void {
  assertKnown([...applied.keys()], migrations);
  for (const migration of inOrder(migrations)) {
    const checksum = applied.get(migration.id);
    if (checksum === undefined) {
      throw new MigrationRefused(
        `the database is of an older version: migration ${migration.id} has not run; start this version on it once, and stop it`,
      );
    }
    if (checksum !== checksumOf(migration.statements(types))) throw editedMigration(migration.id);
  }
}

function checksumOf(statements: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(statements)).digest('hex');
}

function editedMigration(id: string): MigrationRefused {
  return new MigrationRefused(
    `migration ${id} has run with another text than it has now: a released migration is never edited`,
  );
}

function inOrder(migrations: readonly Migration[]): Migration[] {
  const ordered = [...migrations].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const [index, migration] of ordered.entries()) {
    if (migration.id === ordered[index + 1]?.id)
      throw new MigrationRefused(`two migrations are ${migration.id}`);
  }
  return ordered;
}

function assertKnown(applied: readonly string[], migrations: readonly Migration[]): void {
  const unknown = applied.filter((id) => !migrations.some((migration) => migration.id === id));
  if (unknown.includes(UNFINISHED_COPY.id)) {
    throw new MigrationRefused(
      'the database is the target of a storage copy that did not finish; remove it and copy again',
    );
  }
  if (unknown.length > 0) {
    throw new MigrationRefused(
      `the database was last used by a newer version: it holds migration ${unknown.sort().join(', ')}, ` +
        'which this version does not know. Start that version, or restore a backup made before it.',
    );
  }
}
