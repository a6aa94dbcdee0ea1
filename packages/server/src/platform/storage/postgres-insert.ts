import type pg from 'pg';
import {
  type Bindable,
  type Insertion,
  ReferenceViolation,
  type RowShape,
  UniqueViolation,
} from './database.js';
import { StatementFailure } from './engine.js';
import { endsConnection, postgresFailure } from './postgres-errors.js';

/** The protocol counts parameters in 16 bits. */
const PARAMETERS_MAX = 60_000;

type Groups = readonly (readonly Insertion[])[];

interface MultiRowInsert {
  readonly table: string;
  readonly text: string;
  readonly values: readonly Bindable[];
}

/**
 * One multi-row statement per table. When it is refused, the batch is halved under savepoints until the groups that
 * are the cause stand alone, so that a few bad ones cost a few more round trips and not one for each row.
 */
export async function insertGroups(
  client: pg.PoolClient,
  groups: Groups,
): Promise<readonly (Error | undefined)[]> {
  const inserts = multiRowInserts(groups);
  if (inserts.length === 1) {
    // A single statement is a transaction of its own, in one round trip.
    const refused = await attempt(() => runAll(client, inserts));
    if (refused === undefined || groups.length === 1) return groups.map(() => refused);
  }
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    const outcomes = await insertHalving(client, groups);
    await client.query('COMMIT');
    return outcomes;
  } catch (error) {
    if (!endsConnection(error)) await client.query('ROLLBACK');
    throw error;
  }
}

async function insertHalving(client: pg.PoolClient, groups: Groups): Promise<(Error | undefined)[]> {
  await client.query('SAVEPOINT part');
  const refused = await attempt(() => runAll(client, multiRowInserts(groups)));
  if (refused === undefined) {
    await client.query('RELEASE part');
    return groups.map(() => undefined);
  }
  await client.query('ROLLBACK TO part; RELEASE part');
  if (groups.length === 1) return [refused];
  const middle = groups.length >> 1;
  const first = await insertHalving(client, groups.slice(0, middle));
  return [...first, ...(await insertHalving(client, groups.slice(middle)))];
}

/** What refuses a row is an answer; what concerns the whole batch, such as a lost connection, is thrown. */
async function attempt(work: () => Promise<void>): Promise<Error | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const { table, cause } = error instanceof InsertFailure ? error : { table: '', cause: error };
    const failure = postgresFailure(cause, table);
    const refusals = [UniqueViolation, ReferenceViolation, StatementFailure];
    if (refusals.some((refusal) => failure instanceof refusal)) return failure;
    throw cause;
  }
}

class InsertFailure extends Error {
  constructor(
    readonly table: string,
    cause: unknown,
  ) {
    super('insert failed', { cause });
  }
}

async function runAll(client: pg.PoolClient, inserts: readonly MultiRowInsert[]): Promise<void> {
  for (const { table, text, values } of inserts) {
    try {
      await client.query({ text, values: [...values] });
    } catch (error) {
      throw new InsertFailure(table, error);
    }
  }
}

function multiRowInserts(groups: Groups): MultiRowInsert[] {
  const byShape = new Map<RowShape, Insertion[]>();
  for (const insertion of groups.flat()) {
    const rows = byShape.get(insertion.shape);
    if (rows) rows.push(insertion);
    else byShape.set(insertion.shape, [insertion]);
  }
  return [...byShape].flatMap(([shape, rows]) => chunksOf(shape, rows));
}

function chunksOf(shape: RowShape, rows: readonly Insertion[]): MultiRowInsert[] {
  const size = Math.floor(PARAMETERS_MAX / Math.max(1, shape.columns.length));
  const chunks: MultiRowInsert[] = [];
  for (let at = 0; at < rows.length; at += size) chunks.push(insertOf(shape, rows.slice(at, at + size)));
  return chunks;
}

function insertOf({ table, columns }: RowShape, rows: readonly Insertion[]): MultiRowInsert {
  const values: Bindable[] = [];
  const tuples = rows.map((insertion) => {
    const places = insertion.values.map((value) => `$${values.push(value)}`);
    return `(${places.join(', ')})`;
  });
  const names = columns.map((column) => `"${column}"`).join(', ');
  return { table, text: `insert into "${table}" (${names}) values ${tuples.join(', ')}`, values };
}
