import type { Insertion, RowShape } from './database.js';

/** Rows of one statement that follow each other; what they have in common is told once. It crosses threads. */
export interface InsertRun {
  /** Number of the statement. */
  readonly shape: number;
  /** What stands in the same column of every row, by the column's place. */
  readonly fixed: readonly (readonly [number, unknown])[];
  /** The other values of each row, in the order of their columns. */
  readonly rows: readonly (readonly unknown[])[];
}

/** Fewer are written one by one (`ROWS_AT_ONCE` of `sqlite-worker.mjs`), each with all its values. */
const ROWS_WITH_FIXED_MIN = 16;

/**
 * Rows that are written together are alike but for a few columns: of those of the request log four in five values are the
 * same, and each that is not sent again is copied, parsed and bound once less.
 */
export function insertRuns(rows: readonly Insertion[], numberOf: (shape: RowShape) => number): InsertRun[] {
  const runs: InsertRun[] = [];
  for (let from = 0; from < rows.length; ) {
    const { shape } = rows[from]!;
    let to = from + 1;
    while (rows[to]?.shape === shape) to++;
    runs.push(runOf(numberOf(shape), rows.slice(from, to)));
    from = to;
  }
  return runs;
}

function runOf(shape: number, rows: readonly Insertion[]): InsertRun {
  const first = rows[0]!.values;
  const fixed = rows.length < ROWS_WITH_FIXED_MIN ? [] : fixedColumns(rows);
  if (fixed.length === 0) return { shape, fixed: [], rows: rows.map(({ values }) => values) };
  const others = [...first.keys()].filter((column) => !fixed.includes(column));
  return {
    shape,
    fixed: fixed.map((column) => [column, first[column]]),
    rows: rows.map(({ values }) => others.map((column) => values[column])),
  };
}

function fixedColumns(rows: readonly Insertion[]): number[] {
  const first = rows[0]!.values;
  let columns = [...first.keys()];
  for (const { values } of rows) {
    if (columns.some((column) => values[column] !== first[column]))
      columns = columns.filter((column) => values[column] === first[column]);
  }
  // Rows without a value of their own are no rows that a statement could list.
  return columns.length === first.length ? columns.slice(1) : columns;
}
