import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { endOf, startSource } from '../../testing/child-process.js';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import type { View } from './database.js';
import { lockDataDir } from './lock.js';
import { loadSqlite } from './sqlite-module.js';

describe('the SQLite files', () => {
  let db: TestDatabase;
  let view: View<NotesDb>;
  let dataDir: string;
  beforeAll(async () => {
    db = await openTestSqlite(NOTE_MIGRATIONS);
    view = db.view(NOTE_TABLES);
    dataDir = db.storage.kind === 'sqlite' ? db.storage.dataDir : '';
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

  it('sync at each commit of the writer', () => {
    const file = openFile('knox.db');
    expect(file.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
    file.close();
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
