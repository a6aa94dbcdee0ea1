import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { endOf, startSource } from '../../testing/child-process.js';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import type { View } from './database.js';
import type { StatementResult } from './engine.js';
import { lockDataDir } from './lock.js';
import { openSqlite } from './sqlite.js';
import { loadSqlite } from './sqlite-module.js';

describe('the SQLite files', () => {
  let db: TestDatabase;
  let view: View<NotesDb>;
  let dataDir: string;
  beforeAll(async () => {
    db = await openTestSqlite(NOTE_MIGRATIONS);
    view = db.view(NOTE_TABLES);
    dataDir = db.storage.kind === 'sqlite' ? dirname(db.storage.path) : '';
  });
  afterAll(() => db.cleanup());

  function openFile(name: string) {
    const { DatabaseSync } = loadSqlite();
    return new DatabaseSync(join(dataDir, name));
  }

  it('are readable by their owner only, the write-ahead logs too', async () => {
    await db.commitInserts([view.insertion('notes', LIVE, noteOf('mode'))]);
    const names = readdirSync(dataDir).filter((name) => name.startsWith('knox'));
    expect(names).toEqual(
      expect.arrayContaining(['knox.db', 'knox.db-wal', 'knox-log.db', 'knox-log.db-wal']),
    );
    for (const name of names)
      expect([name, statSync(join(dataDir, name)).mode & 0o777]).toEqual([name, 0o600]);
  });

  it('keep the log tables out of the main file', () => {
    const tablesOf = (name: string) => {
      const file = openFile(name);
      const rows = file.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
      file.close();
      return rows.map((row: { name: string }) => row.name);
    };
    expect(tablesOf('knox.db')).toContain('notes');
    expect(tablesOf('knox.db')).not.toContain('events');
    expect(tablesOf('knox-log.db')).toEqual(['events', 'schema_migrations']);
  });

  it('are read aside in a thread of their own: the event loop goes on meanwhile', async () => {
    const file = openFile('knox.db');
    file.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
      INSERT INTO notes (tenant_id, sandbox, id, name, amount) SELECT 'many', 0, i, i, i FROM n`);
    file.close();
    const scope = { tenantId: 'many' as TenantId, sandbox: false };
    async function turnsOf(queries: Pick<ReturnType<typeof view.scoped>, 'selectFrom'>): Promise<number> {
      let turns = 0;
      let isOver = false;
      const turn = () => {
        turns++;
        if (!isOver) setImmediate(turn);
      };
      setImmediate(turn);
      const { n } = await queries
        .selectFrom('notes')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .where('amount', '>', 0)
        .executeTakeFirstOrThrow();
      isOver = true;
      expect(n).toBe(20_000);
      return turns;
    }
    expect(await turnsOf(view.scoped(scope))).toBe(0);
    expect(await turnsOf(view.aside(scope))).toBeGreaterThan(0);
  });

  it('are written with a sync at each commit', async () => {
    const paths = { main: join(dataDir, 'other', 'knox.db'), log: join(dataDir, 'other', 'knox-log.db') };
    const engine = await openSqlite(paths);
    for (const file of ['main', 'log'] as const) {
      const pragma = (name: string) =>
        engine.exclusive(file, (ask) =>
          ask<StatementResult>({
            op: 'run',
            sql: `PRAGMA ${name}`,
            parameters: [],
            returnsRows: true,
            begin: false,
          }),
        );
      expect((await pragma('journal_mode')).rows).toEqual([{ journal_mode: 'wal' }]);
      const FULL = 2;
      expect((await pragma('synchronous')).rows).toEqual([{ synchronous: FULL }]);
    }
    await engine.close();
  });

  it('hold all there is once they are closed', async () => {
    const own = await openTestSqlite(NOTE_MIGRATIONS);
    const path = own.storage.kind === 'sqlite' ? own.storage.path : '';
    const ownView = own.view<NotesDb>(NOTE_TABLES);
    await own.commitInserts([ownView.insertion('notes', LIVE, noteOf('folded'))]);
    await ownView.scoped(LIVE).selectFrom('notes').selectAll().execute();
    await own.close();
    const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
    expect(log?.size ?? 0).toBe(0);
    expect(readFileSync(path).includes('folded')).toBe(true);
    await own.cleanup();
  });

  it('that are none are refused, and the others stay usable', async () => {
    const paths = { main: join(dataDir, 'bad', 'knox.db'), log: join(dataDir, 'bad', 'knox-log.db') };
    mkdirSync(join(dataDir, 'bad'));
    writeFileSync(paths.log, 'this is no database, and longer than the header of one would be '.repeat(20));
    await expect(openSqlite(paths)).rejects.toMatchObject({ type: 'dependency_unavailable' });
    await (await openSqlite({ ...paths, log: `${paths.log}-2` })).close();
  });

  it('wait for another process that writes, off the main thread', async () => {
    const other = openFile('knox.db');
    other.exec('BEGIN IMMEDIATE');
    const writes = [
      db.commitInserts([view.insertion('notes', LIVE, noteOf('waited'))]),
      view.scoped(LIVE).insertInto('notes').values(noteOf('waited-too')).execute(),
    ];
    // Reads go on meanwhile, and the main thread is free to let the other one end.
    expect(
      await view.scoped(LIVE).selectFrom('notes').select('id').where('id', '=', 'waited').execute(),
    ).toEqual([]);
    other.exec('COMMIT');
    other.close();
    await Promise.all(writes);
    const rows = await view
      .scoped(LIVE)
      .selectFrom('notes')
      .select('id')
      .where('id', 'like', 'waited%')
      .execute();
    expect(rows).toHaveLength(2);
  });

  it('tell the caller to come back when the other process does not end', async () => {
    const other = openFile('knox.db');
    other.exec('BEGIN IMMEDIATE');
    const refused = { type: 'dependency_unavailable', dependency: 'database', detail: 'SQLite: busy' };
    await expect(db.commitInserts([view.insertion('notes', LIVE, noteOf('busy'))])).rejects.toMatchObject(
      refused,
    );
    other.exec('ROLLBACK');
    other.close();
    await db.commitInserts([view.insertion('notes', LIVE, noteOf('busy'))]);
  });
});

describe('lockDataDir', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'knox-lock-'));
  });
  afterEach(() => rmSync(dataDir, { recursive: true }));

  it('lets one in, and the next when it has left', () => {
    const lock = lockDataDir(dataDir);
    expect(() => lockDataDir(dataDir)).toThrow(dataDir);
    lock.release();
    lockDataDir(dataDir).release();
  });

  it('is dropped with the process that held it', async () => {
    const child = startSource(new URL('../../testing/lock-child.ts', import.meta.url), [dataDir]);
    const end = await endOf(child, () => {
      expect(() => lockDataDir(dataDir)).toThrow(`${dataDir} is in use by another server process`);
      child.kill('SIGKILL');
    });
    expect(end).toMatchObject({ signal: 'SIGKILL', lines: ['locked'] });
    lockDataDir(dataDir).release();
  });
});
