import { type Expression, type RawBuilder, sql } from 'kysely';
import { type Mode, modeOf, type TenantId } from '../../../kernel/ids.js';
import type { EnvelopePlace } from '../../../platform/crypto/envelope-cipher.js';
import type { AnyScope, Arg, Database, Transaction } from '../../../platform/storage/database.js';
import { boundTableOf, type EnvelopeColumn } from '../envelope-columns.js';

export interface StoredEnvelope {
  readonly rowId: string;
  /** Null where the row has none in this column. */
  readonly envelope: Buffer | null;
}

export interface ResealedEnvelope {
  readonly rowId: string;
  readonly from: Buffer;
  readonly to: Buffer;
}

/** One column of the rows of one mode: what a sweep goes through from the first id to the last. */
export interface EnvelopeStep {
  readonly name: string;
  placeOf(tenantId: TenantId, rowId: string): EnvelopePlace;
  /** The rows after that one, in the order of their ids, envelopes of every version and rows without one among them. */
  read(tenantId: TenantId, afterRowId: string, limit: number): Promise<StoredEnvelope[]>;
  /** In the order in which they were read. Rows that were changed since then stay as they are; how many were not. */
  replace(tx: Transaction, tenantId: TenantId, envelopes: readonly ResealedEnvelope[]): Promise<number>;
  /** Envelopes of versions below that one. */
  countBelow(tenantId: TenantId, version: number): Promise<number>;
  countOf(tenantId: TenantId, version: number): Promise<number>;
}

type EnvelopeTables = Record<string, Record<string, string | Buffer | null>>;

/** A statement replaces so many: one a row spends most of its time on the way to the database. */
const ROWS_A_STATEMENT = 50;
const NUMBERS = Array.from({ length: ROWS_A_STATEMENT }, (_, index) => index);

/** `id0`, `from0`, `to0` and so on: few names would be lists, which no statement takes. */
type ReplacementArgs = Record<string, string | Buffer>;

/** `KCT1` and its flags, then the version in four bytes (kms-admin.md §3.2). */
const HEADER_BYTES = 9;

/** Every column that any capability registers, without knowing what is in it. */
export function createEnvelopeSteps(db: Database, columns: readonly EnvelopeColumn[]): EnvelopeStep[] {
  return columns.flatMap((column) => stepsOf(db, column));
}

function stepsOf(db: Database, entry: EnvelopeColumn): EnvelopeStep[] {
  const { table, idColumn, column } = entry;
  const bound = boundTableOf(entry);
  const hasMode = entry.mode === 'row';
  const view = db.view<EnvelopeTables>({ [table]: { scope: hasMode ? 'tenant+mode' : 'tenant' } });

  const window = view.define<{ after: string; limit: number }, Record<string, string | Buffer | null>>(
    `kms_envelopes_${table}_${column}`,
    (queries, arg) =>
      queries
        .selectFrom(table)
        .select([idColumn, column])
        .where(idColumn, '>', arg('after'))
        .orderBy(idColumn)
        .limit(arg('limit')),
  );

  // By the range of its ids, which no plan finds slowly: of a list PostgreSQL believes, where its statistics are old, that to
  // go through all rows of the tenant is faster, and a pass takes ten times as long.
  const replacement = view.define<ReplacementArgs, Record<string, string>>(
    `kms_reseal_${table}_${column}`,
    (queries, arg) =>
      queries
        .updateTable(table)
        .set((eb) => ({ [column]: byRow(arg, 'to', eb.ref(idColumn), eb.ref(column)) }))
        .where(idColumn, '>=', arg('id0'))
        .where(idColumn, '<=', arg(`id${ROWS_A_STATEMENT - 1}`))
        .where((eb) => eb(column, '=', byRow(arg, 'from', eb.ref(idColumn), nothingOf(eb.ref(column)))))
        .returning(idColumn),
  );

  function step(mode: Mode | ''): EnvelopeStep {
    const scopeOf = (tenantId: TenantId): AnyScope =>
      mode === '' ? { tenantId } : { tenantId, sandbox: mode === 'test' };

    async function count(tenantId: TenantId, version: number, comparison: '<' | '='): Promise<number> {
      const row = await view
        .aside(scopeOf(tenantId))
        .selectFrom(table)
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where(sql`substr(${sql.ref(column)}, 1, 5)`, '=', headerOf(version).subarray(0, 5))
        .where(sql`substr(${sql.ref(column)}, 6, 4)`, comparison, headerOf(version).subarray(5))
        .executeTakeFirst();
      return row?.count ?? 0;
    }

    return {
      // The same before and after a table is renamed: where a sweep stands is kept by it.
      name: mode === '' ? `${bound}.${column}` : `${bound}.${column}:${mode}`,
      placeOf: (tenantId, rowId) => ({ tenantId, mode, table: bound, rowId, column }),
      async read(tenantId, afterRowId, limit) {
        const rows = await window.all(scopeOf(tenantId), { after: afterRowId, limit });
        return rows.map((row) => ({
          rowId: row[idColumn] as string,
          envelope: row[column] as Buffer | null,
        }));
      },
      async replace(tx, tenantId, envelopes) {
        let replaced = 0;
        for (let from = 0; from < envelopes.length; from += ROWS_A_STATEMENT) {
          const some = envelopes.slice(from, from + ROWS_A_STATEMENT);
          replaced += (await replacement.all(scopeOf(tenantId), argumentsOf(some), tx)).length;
        }
        return replaced;
      },
      countBelow: (tenantId, version) => count(tenantId, version, '<'),
      countOf: (tenantId, version) => count(tenantId, version, '='),
    };
  }

  return hasMode ? [step(modeOf({ sandbox: false })), step(modeOf({ sandbox: true }))] : [step('')];
}

/** Of the row at hand, what the arguments of that name say. */
function byRow(
  arg: Arg<ReplacementArgs>,
  name: 'from' | 'to',
  id: Expression<unknown>,
  otherwise: Expression<unknown>,
): RawBuilder<Buffer> {
  const cases = NUMBERS.map((number) => sql`when ${arg(`id${number}`)} then ${arg(`${name}${number}`)}`);
  return sql<Buffer>`case ${id} ${sql.join(cases, sql` `)} else ${otherwise} end`;
}

/** Null, and of the column's type. */
function nothingOf(column: Expression<unknown>): RawBuilder<null> {
  return sql<null>`nullif(${column}, ${column})`;
}

/** A statement of fewer rows names its last one again, which changes nothing. */
function argumentsOf(envelopes: readonly ResealedEnvelope[]): ReplacementArgs {
  const values: Record<string, string | Buffer> = {};
  for (const number of NUMBERS) {
    const { rowId, from, to } = envelopes[Math.min(number, envelopes.length - 1)]!;
    values[`id${number}`] = rowId;
    values[`from${number}`] = from;
    values[`to${number}`] = to;
  }
  return values;
}

function headerOf(version: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('KCT1', 'ascii');
  header.writeUInt32BE(version, 5);
  return header;
}
