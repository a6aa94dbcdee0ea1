import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { ColumnTypes, Migration } from '../../platform/storage/migration.js';
import type { EnvelopeColumn } from './envelope-columns.js';
import { ROOT_WRAPPED_COLUMNS } from './root-key.js';

interface Door {
  readonly migrations?: readonly Migration[];
  readonly envelopeColumns?: readonly EnvelopeColumn[];
}

const CAPABILITIES = new URL('../', import.meta.url);
const TYPES: ColumnTypes = {
  dialect: 'sqlite',
  text: 'TEXT',
  integer: 'INTEGER',
  real: 'REAL',
  bytes: 'BLOB',
  rowId: 'INTEGER',
  partitionedByDay: () => '',
};

/** `table.column` of every column of bytes whose name marks it as an envelope, from the DDL of all migrations. */
function envelopeColumnsOf(statements: readonly string[], mark = /_envelope$/): string[] {
  const dropped = statements.map((sql) => /^\s*DROP TABLE "?(\w+)"?/i.exec(sql)?.[1]);
  return statements.flatMap((sql) => {
    const table = /^\s*(?:CREATE|ALTER) TABLE(?: IF NOT EXISTS)? "?(\w+)"?/i.exec(sql)?.[1];
    const columns = [...sql.matchAll(/\b(\w+)\b"?\s+BLOB/gi)]
      .map((match) => match[1] ?? '')
      .filter((column) => mark.test(column));
    return table && !dropped.includes(table) ? columns.map((column) => `${table}.${column}`) : [];
  });
}

async function doors(): Promise<Door[]> {
  const names = readdirSync(CAPABILITIES).filter((name) =>
    existsSync(fileURLToPath(new URL(`${name}/index.ts`, CAPABILITIES))),
  );
  return Promise.all(
    names.map((name) => import(new URL(`${name}/index.ts`, CAPABILITIES).href) as Promise<Door>),
  );
}

it('registers every envelope column of every capability, and no other', async () => {
  const all = await doors();
  const statements = all.flatMap((door) => (door.migrations ?? []).flatMap((one) => one.statements(TYPES)));
  const declared = envelopeColumnsOf(statements);
  const registered = all.flatMap((door) => door.envelopeColumns ?? []);
  expect(registered.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(declared.sort());
  expect(declared).toContain('crypto_key_versions.key_envelope');
});

it('knows every column that the root key wraps, so that a change of it reaches them', async () => {
  const statements = (await doors()).flatMap((door) =>
    (door.migrations ?? []).flatMap((one) => one.statements(TYPES)),
  );
  const declared = envelopeColumnsOf(statements, /(^|_)wrapped(_|$)/);
  expect(declared.sort()).toEqual([...ROOT_WRAPPED_COLUMNS].sort());
});

it('finds an envelope column however the table is made', () => {
  const statements = [
    'CREATE TABLE a (id TEXT, x_envelope BLOB NOT NULL)',
    'ALTER TABLE b ADD COLUMN "y_envelope" BLOB',
    'CREATE INDEX c ON a (x_envelope)',
    'CREATE TABLE d (z_envelope BLOB)',
    'DROP TABLE d',
  ];
  expect(envelopeColumnsOf(statements)).toEqual(['a.x_envelope', 'b.y_envelope']);
});
