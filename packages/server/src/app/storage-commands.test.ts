import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { tablesOf } from '../platform/storage/copy/copied-table.js';
import { command } from '../testing/command.js';
import { onPostgres } from '../testing/databases.js';
import { createManualClock } from '../testing/manual-clock.js';
import { MIGRATIONS } from './migrations.js';

const dir = mkdtempSync(join(tmpdir(), 'knox-commands-'));
afterAll(() => rmSync(dir, { recursive: true }));

function run(words: string[], environment: Record<string, string> = {}) {
  return command(words, { environment, workingDir: dir, clock: createManualClock() });
}

describe('knox-server backup', () => {
  it.each([[['backup']], [['backup', '--to']], [['backup', 'x']], [['backup', '--to', 'x', '--from', 'y']]])(
    '%j exits with 2',
    async (words) => {
      expect(await run(words)).toEqual({
        code: 2,
        out: '',
        error: 'Usage: knox-server backup --to <folder>\n',
      });
    },
  );

  it('has nothing to back up where there is no database, and makes none', async () => {
    const { code, error } = await run(['backup', '--to', 'b']);
    expect([code, error]).toEqual([
      1,
      expect.stringContaining('does not exist: there is nothing to back up'),
    ]);
    expect(existsSync(join(dir, 'data'))).toBe(false);
    expect(existsSync(join(dir, 'b'))).toBe(false);
  });

  it('names the tool for PostgreSQL, without the password, and does not claim to have made a backup', async () => {
    const { code, out, error } = await run(['backup', '--to', "b's"], {
      DATABASE_URL: 'postgres://knox:hunter2@db.internal:5433/knox?sslmode=require&password=hunter2',
    });
    expect([code, out]).toEqual([1, '']);
    expect(error).toContain(
      `pg_dump --format=custom --no-owner --file='${dir}/b'\\''s/knox.dump' 'postgres://knox@db.internal:5433/knox?sslmode=require'`,
    );
    expect(error).not.toContain('hunter2');
  });
});

describe('knox-server storage copy', () => {
  it.each([
    [['storage', 'copy']],
    [['storage', 'copy', '--from', 'sqlite:a']],
    [['storage', 'copy', '--from', 'sqlite:a', '--to', 'sqlite:b', 'c']],
  ])('%j exits with 2', async (words) => {
    expect(await run(words)).toMatchObject({
      code: 2,
      error: 'Usage: knox-server storage copy --from <url> --to <url>\n',
    });
  });

  it('refuses what is no address of a database', async () => {
    const { code, error } = await run(['storage', 'copy', '--from', 'sqlite:a', '--to', 'mysql://b']);
    expect([code, error]).toEqual([2, expect.stringMatching(/^--from and --to must be postgres:\/\//)]);
  });

  it('tells in a sentence what is wrong', async () => {
    const { code, error } = await run(['storage', 'copy', '--from', 'sqlite:a.db', '--to', 'sqlite:b.db']);
    expect([code, error]).toEqual([1, `Not copied: the source ${join(dir, 'a.db')} does not exist\n`]);
    expect(existsSync(join(dir, 'b.db'))).toBe(false);
  });

  it('tells of a database that is not there, and shows no password', async () => {
    const { code, error } = await run([
      'storage',
      'copy',
      '--from',
      'postgres://k:hunter2@127.0.0.1:1/k',
      '--to',
      'sqlite:b.db',
    ]);
    expect([code, error]).toEqual([1, expect.stringMatching(/^Not copied: .*ECONNREFUSED/)]);
    expect(error).not.toContain('hunter2');
  });
});

onPostgres((open) => {
  // The tables are listed from SQLite: one that only PostgreSQL has would not be copied.
  it('has the tables, columns and numbered columns that a copy knows, and no others', async () => {
    const db = await open(MIGRATIONS);
    const client = new pg.Client({ connectionString: (db.storage as { url: string }).url });
    await client.connect();
    const { rows: columns } = await client.query(
      `SELECT relname || '.' || attname AS name FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
       WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
         AND attnum > 0 AND NOT attisdropped AND relname <> 'schema_migrations'`,
    );
    const { rows: sequences } = await client.query(
      "SELECT count(*)::int AS n FROM pg_class WHERE relkind = 'S'",
    );
    await client.end();
    await db.cleanup();
    const tables = tablesOf(MIGRATIONS);
    expect(columns.map(({ name }) => name).sort()).toEqual(
      tables.flatMap((table) => table.columns.map((column) => `${table.name}.${column.name}`)).sort(),
    );
    expect(sequences[0].n).toBe(tables.filter(({ numberedColumn }) => numberedColumn).length);
  });
});
