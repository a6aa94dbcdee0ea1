import type { CopiedRow, CopiedTable } from './copied-table.js';

export const BATCH_ROWS_FIRST = 16;
const BATCH_ROWS_MAX = 1_000;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

/** A database that nobody but the copy uses until it is closed. */
export interface CopyEnd {
  /** Every row once, in bounded batches, as it was when the end was opened. */
  read(table: CopiedTable): AsyncIterable<readonly CopiedRow[]>;
  /** The last number that was given in the numbered column; 0 where none was. */
  lastNumber(table: CopiedTable): Promise<bigint>;
  close(): Promise<void>;
}

export interface CopyTarget extends CopyEnd {
  /** Takes out what migrations have put in. */
  clear(table: CopiedTable): Promise<void>;
  insert(table: CopiedTable, rows: readonly CopiedRow[]): Promise<void>;
  /** The next row gets a higher number. */
  continueNumbers(table: CopiedTable, last: bigint): Promise<void>;
  /** Puts back triggers and references, which stand aside while rows are written, and checks every reference. */
  restoreRules(): Promise<void>;
  /** From here on a server starts on it; SQLite's rows are then all in the files themselves. */
  removeMark(): Promise<void>;
}

/** As many rows as fit into a batch when they are as large as the last ones; it grows in steps, they may not be. */
export function nextBatchRows(lastLimit: number, rows: readonly CopiedRow[]): number {
  const bytes = rows.reduce((sum, row) => sum + bytesOf(row), 0);
  const fitting = Math.floor((BATCH_BYTES_MAX * rows.length) / bytes);
  return Math.max(1, Math.min(BATCH_ROWS_MAX, 8 * lastLimit, fitting));
}

function bytesOf(row: CopiedRow): number {
  return row.reduce<number>(
    (sum, value) => sum + (typeof value === 'string' || Buffer.isBuffer(value) ? value.length : 8),
    8,
  );
}
