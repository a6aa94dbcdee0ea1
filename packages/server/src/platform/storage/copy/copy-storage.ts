import type { Clock } from '../../../kernel/clock.js';
import type { Migration } from '../migration.js';
import { UNFINISHED_COPY } from '../migrator.js';
import { openDatabase, type StorageOptions } from '../open-database.js';
import { StorageRefused } from '../refused.js';
import { type CopiedTable, tablesOf } from './copied-table.js';
import type { CopyEnd, CopyTarget } from './copy-end.js';
import { assertEmptyPostgres, openPostgresSource, openPostgresTarget } from './postgres-copy.js';
import { lockSqliteTarget, openSqliteSource, openSqliteTarget } from './sqlite-copy.js';
import { createTableSum, type TableSum } from './table-sum.js';

export interface CopyOptions {
  readonly from: StorageOptions;
  readonly to: StorageOptions;
  readonly migrations: readonly Migration[];
  readonly clock: Clock;
  /** Called now and then within a table, and at its end. */
  onRows(table: string, rows: number, isWhole: boolean): void;
}

export interface CopiedTableReport {
  readonly table: string;
  readonly rows: number;
}

const PROGRESS_ROWS = 20_000;

/**
 * Every row of every table into a new database, then both are compared. Until that is done the target carries a mark
 * that no server starts on; a copy that fails leaves the mark, and the source as it was.
 */
export async function copyStorage(options: CopyOptions): Promise<CopiedTableReport[]> {
  const { from, to, migrations } = options;
  const tables = tablesOf(migrations);
  const source =
    from.kind === 'sqlite'
      ? openSqliteSource(from, migrations)
      : await openPostgresSource(from, migrations, tables);
  try {
    const target = await openTarget(to, tables, options);
    try {
      return await copyAll(source, target, tables, options);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** The mark commits with the tables: there is no moment at which a server could take them for an empty installation. */
async function openTarget(
  to: StorageOptions,
  tables: readonly CopiedTable[],
  { migrations, clock }: CopyOptions,
): Promise<CopyTarget> {
  const makeTables = async () => {
    const made = await openDatabase(to, { migrations: [...migrations, UNFINISHED_COPY], clock });
    await made.close();
  };
  if (to.kind === 'postgres') {
    await assertEmptyPostgres(to, tables);
    await makeTables();
    return openPostgresTarget(to, tables);
  }
  const lock = lockSqliteTarget(to);
  try {
    await makeTables();
    return openSqliteTarget(to, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function copyAll(
  source: CopyEnd,
  target: CopyTarget,
  tables: readonly CopiedTable[],
  { onRows }: CopyOptions,
): Promise<CopiedTableReport[]> {
  const sums = new Map<CopiedTable, TableSum>();
  for (const table of tables) await target.clear(table);
  for (const table of tables) {
    const sum = createTableSum();
    let shown = 0;
    for await (const rows of source.read(table)) {
      sum.add(rows);
      await target.insert(table, rows);
      if (sum.rows - shown < PROGRESS_ROWS) continue;
      shown = sum.rows;
      onRows(table.name, shown, false);
    }
    if (table.numberedColumn) await target.continueNumbers(table, await source.lastNumber(table));
    onRows(table.name, sum.rows, true);
    sums.set(table, sum);
  }
  await target.restoreRules();
  for (const [table, sum] of sums) await assertSame(target, table, sum);
  await target.removeMark();
  return [...sums].map(([{ name }, { rows }]) => ({ table: name, rows }));
}

async function assertSame(target: CopyTarget, table: CopiedTable, read: TableSum): Promise<void> {
  const written = createTableSum();
  for await (const rows of target.read(table)) written.add(rows);
  if (written.rows === read.rows && written.digest === read.digest) return;
  throw new StorageRefused(
    `${table.name} differs after the copy: ${read.rows} rows read, ${written.rows} rows found, or another content`,
  );
}
