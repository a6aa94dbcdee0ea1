import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import { endOf, startSource } from '../../../testing/child-process.js';
import {
  type OpenTestDatabase,
  onPostgres,
  openTestSqlite,
  type TestDatabase,
} from '../../../testing/databases.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import {
  LIVE,
  NOTE_MIGRATIONS,
  NOTE_TABLES,
  type NotesDb,
  noteOf,
  OTHER,
  SANDBOX,
} from '../../../testing/notes.js';
import type { Database } from '../database.js';
import { DataDirLocked, lockDataDir } from '../lock.js';
import type { Migration } from '../migration.js';
import { MigrationRefused } from '../migrator.js';
import { openDatabase, type StorageOptions } from '../open-database.js';
import { StorageRefused } from '../refused.js';
import { loadSqlite } from '../sqlite-module.js';
import { type CopyOptions, copyStorage } from './copy-storage.js';

const DAY_MS = 86_400_000;
const LONG_AGO = 20 * DAY_MS;

/** A table that refers to itself and holds rows from the first migration on. */
const peopleMigration: Migration = {
  id: '9003-people',
  file: 'main',
  statements: ({ text }) => [
    `CREATE TABLE people (id ${text} NOT NULL PRIMARY KEY, chief ${text} REFERENCES people (id))`,
    `INSERT INTO people VALUES ('seed', NULL)`,
  ],
};
/** A table that the database itself adds to, and one in the order of its key. */
const journalMigration: Migration = {
  id: '9004-journal',
  file: 'main',
  statements: ({ dialect, text, integer }) => [
    `CREATE TABLE journal (tenant_id ${text} NOT NULL, number ${integer} NOT NULL, PRIMARY KEY (tenant_id, number))${
      dialect === 'sqlite' ? ' WITHOUT ROWID' : ''
    }`,
    ...(dialect === 'sqlite'
      ? [
          `CREATE TRIGGER folders_journal AFTER INSERT ON folders BEGIN
             INSERT INTO journal SELECT new.tenant_id, 1 + coalesce(max(number), 0) FROM journal; END`,
          `CREATE TRIGGER journal_stays BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'journal stays'); END`,
        ]
      : [
          `CREATE FUNCTION folders_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO journal SELECT new.tenant_id, 1 + coalesce(max(number), 0) FROM journal; RETURN NULL; END $$`,
          'CREATE TRIGGER folders_journal AFTER INSERT ON folders FOR EACH ROW EXECUTE FUNCTION folders_journal()',
          `CREATE FUNCTION journal_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'journal stays'; END $$`,
          'CREATE TRIGGER journal_stays BEFORE DELETE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_stays()',
          'ALTER TABLE journal ENABLE ALWAYS TRIGGER journal_stays',
        ]),
  ],
};
const PEOPLE = { people: { scope: 'system' }, journal: { scope: 'tenant' } } as const;
interface PeopleDb {
  journal: { tenant_id: TenantId; number: number };
  people: { id: string; chief: string | null };
}

const MIGRATIONS = [...NOTE_MIGRATIONS, peopleMigration, journalMigration];
const clock = createManualClock();
const noRows = () => {};
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'knox-copy-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  return dir;
}

function sqliteIn(dir: string): Extract<StorageOptions, { kind: 'sqlite' }> {
  return { kind: 'sqlite', path: join(dir, 'knox.db'), logPath: join(dir, 'knox-log.db') };
}

/** The place of a closed database; a file of its own, since a driver may keep the locks of this process. */
function atRest(storage: StorageOptions): StorageOptions {
  if (storage.kind === 'postgres') return storage;
  const dir = tempDir();
  for (const path of [storage.path, storage.logPath]) cpSync(path, join(dir, basename(path)));
  return sqliteIn(dir);
}

async function opened(open: OpenTestDatabase, migrations: readonly Migration[]): Promise<TestDatabase> {
  const db = await open(migrations, { clock });
  cleanups.push(() => db.cleanup());
  return db;
}

async function reopened(storage: StorageOptions): Promise<Database> {
  const db = await openDatabase(storage, { migrations: MIGRATIONS, clock: systemClock });
  cleanups.push(() => db.close());
  return db;
}

const copy = (from: StorageOptions, to: StorageOptions, more: Partial<CopyOptions> = {}) =>
  copyStorage({ from, to, migrations: MIGRATIONS, clock, onRows: noRows, ...more });

async function fill(db: Database): Promise<void> {
  const view = db.view<NotesDb>(NOTE_TABLES);
  const big = 2n ** 53n + 1n;
  for (const scope of [LIVE, SANDBOX, OTHER]) {
    await view.scoped(scope).insertInto('notes').values(noteOf('plain')).execute();
    await view
      .scoped(scope)
      .insertInto('notes')
      .values({
        ...noteOf('odd', { name: 'ünïcode 💳 \u0001', amount: big }),
        ratio: -0.1,
        payload: Buffer.from([0, 255, 39]),
      })
      .execute();
    await view
      .scoped(scope)
      .insertInto('notes')
      .values({ ...noteOf('', { amount: -(2n ** 63n) }), ratio: 1, payload: Buffer.alloc(0) })
      .execute();
  }
  for (let folder = 0; folder < 40; folder++) {
    await view
      .scoped(folder % 2 ? LIVE : OTHER)
      .insertInto('folders')
      .values({ id: `f${folder}`, title: 'folder' })
      .execute();
  }
  for (const text of ['a', 'b', 'c'])
    await view.system('metrics').insertInto('serials').values({ text }).execute();
  await view.system('metrics').deleteFrom('serials').where('text', '=', 'c').execute();
  const events = Array.from({ length: 2_500 }, (_, index) =>
    view.insertion('events', LIVE, {
      created_at: LONG_AGO + index * 60_000,
      id: `e${index}`,
      text: index % 2 ? null : 'x',
    }),
  );
  await db.commitInserts(events);
  const people = db.view<PeopleDb>(PEOPLE);
  await people.system('metrics').deleteFrom('people').execute();
  // The chief comes after the one who refers to it, in the order of the table.
  await people.system('metrics').insertInto('people').values({ id: 'z', chief: null }).execute();
  await people.system('metrics').insertInto('people').values({ id: 'a', chief: 'z' }).execute();
  await people.system('metrics').updateTable('people').set({ chief: 'a' }).where('id', '=', 'z').execute();
}

/** Numbers beyond 2^53 can be written and not read, so they are read as text. */
async function contentOf(db: Database) {
  const view = db.view<NotesDb>(NOTE_TABLES);
  const people = db.view<PeopleDb>(PEOPLE);
  const notes = view.system('metrics').selectFrom('notes');
  return {
    notes: await notes
      .select(['tenant_id', 'sandbox', 'id', 'name', 'ratio', 'payload'])
      .select((where) => where.cast<string>('amount', 'text').as('amount'))
      .orderBy('tenant_id')
      .orderBy('sandbox')
      .orderBy('id')
      .execute(),
    folders: await view.system('metrics').selectFrom('folders').selectAll().orderBy('id').execute(),
    journal: await people.system('metrics').selectFrom('journal').selectAll().orderBy('number').execute(),
    serials: await view.system('metrics').selectFrom('serials').selectAll().orderBy('position').execute(),
    events: await view.system('metrics').selectFrom('events').selectAll().orderBy('created_at').execute(),
    people: await people.system('metrics').selectFrom('people').selectAll().orderBy('id').execute(),
  };
}

async function nextSerial(db: Database): Promise<number> {
  const [row] = await db
    .view<NotesDb>(NOTE_TABLES)
    .system('metrics')
    .insertInto('serials')
    .values({ text: 'next' })
    .returning('position')
    .execute();
  return row?.position ?? 0;
}

async function filled(open: OpenTestDatabase): Promise<{ storage: StorageOptions; content: object }> {
  const db = await opened(open, MIGRATIONS);
  await fill(db);
  const content = await contentOf(db);
  await db.close();
  return { storage: atRest(db.storage), content };
}

async function expectRefusal(copying: Promise<unknown>, text: string | RegExp): Promise<void> {
  const error = await copying.then(
    () => null,
    (reason) => reason,
  );
  expect(
    [StorageRefused, MigrationRefused, DataDirLocked].some((kind) => error instanceof kind),
    String(error),
  ).toBe(true);
  expect(error.message).toMatch(text);
}

/** A copy between any two databases; `emptyTarget` makes the place that it goes to. */
function copyContract(open: OpenTestDatabase, emptyTarget: () => Promise<StorageOptions>): void {
  it('brings every row of every table, and the numbers go on', async () => {
    const { storage, content } = await filled(open);
    const to = await emptyTarget();
    const lines: string[] = [];
    const report = await copy(storage, to, {
      onRows: (table, rows, isWhole) => lines.push(`${table} ${rows} ${isWhole}`),
    });
    expect(report).toEqual([
      { table: 'counters', rows: 0 },
      { table: 'folders', rows: 40 },
      { table: 'journal', rows: 40 },
      { table: 'notes', rows: 9 },
      { table: 'people', rows: 2 },
      { table: 'serials', rows: 2 },
      { table: 'events', rows: 2_500 },
    ]);
    expect(lines).toContain('events 2500 true');
    const db = await reopened(to);
    expect(await contentOf(db)).toEqual(content);
    // 3 was given and taken away again.
    expect(await nextSerial(db)).toBe(4);
    await expect(
      db
        .view<PeopleDb>(PEOPLE)
        .system('metrics')
        .insertInto('people')
        .values({ id: 'b', chief: 'nobody' })
        .execute(),
    ).rejects.toThrow('foreign key');
    await db
      .view<NotesDb>(NOTE_TABLES)
      .scoped(LIVE)
      .insertInto('folders')
      .values({ id: 'new', title: 'new' })
      .execute();
    const journal = db.view<PeopleDb>(PEOPLE).system('metrics');
    expect(await journal.selectFrom('journal').select('number').where('number', '>', 40).execute()).toEqual([
      { number: 41 },
    ]);
    await expect(journal.deleteFrom('journal').execute()).rejects.toThrow();
  });

  it('brings a table that never gave a number', async () => {
    const db = await opened(open, MIGRATIONS);
    await db.close();
    const to = await emptyTarget();
    await copy(atRest(db.storage), to);
    expect(await nextSerial(await reopened(to))).toBe(1);
  });

  it('leaves the source as it was', async () => {
    const { storage, content } = await filled(open);
    await copy(storage, await emptyTarget());
    expect(await contentOf(await reopened(atRest(storage)))).toEqual(content);
  });

  it('refuses a target that is not empty, or that an unfinished copy has left', async () => {
    const { storage } = await filled(open);
    const to = await emptyTarget();
    await copy(storage, to);
    const again = await filled(open);
    await expectRefusal(copy(again.storage, to), /not empty|exists/);
  });

  it('refuses a source of an older and of a newer version', async () => {
    const { storage } = await filled(open);
    const same = atRest(storage);
    const newer: Migration = { id: '9005-newer', file: 'main', statements: () => [] };
    await expectRefusal(
      copy(storage, await emptyTarget(), { migrations: [...MIGRATIONS, newer] }),
      /older version: migration 9005-newer has not run/,
    );
    await expectRefusal(copy(same, await emptyTarget(), { migrations: NOTE_MIGRATIONS }), /newer version/);
  });
}

/** What fails is the target's doing; the source is one of SQLite. */
function failureContract(emptyTarget: () => Promise<StorageOptions>): void {
  async function expectMarked(to: StorageOptions): Promise<void> {
    const starting = openDatabase(to, { migrations: MIGRATIONS, clock: systemClock });
    await expect(starting).rejects.toThrow(/target of a storage copy that did not finish/);
    const { storage } = await filled(openTestSqlite);
    await expectRefusal(copy(storage, to), /did not finish|unfinished/);
  }

  it('a reference to nothing fails the copy, and no server starts on what it leaves', async () => {
    const { storage } = await filled(openTestSqlite);
    const { DatabaseSync } = loadSqlite();
    const source = new DatabaseSync((storage as { path: string }).path);
    source.exec("PRAGMA foreign_keys = OFF; INSERT INTO people VALUES ('orphan', 'nobody')");
    source.close();
    const to = await emptyTarget();
    await expect(copy(storage, to)).rejects.toThrow();
    await expectMarked(to);
  });

  it('a copy that is cut off leaves the mark', async () => {
    const { storage } = await filled(openTestSqlite);
    const to = await emptyTarget();
    const cut = copy(storage, to, {
      onRows: (table) => {
        if (table === 'notes') throw new Error('cut');
      },
    });
    await expect(cut).rejects.toThrow('cut');
    await expectMarked(to);
  });
}

const emptySqlite = async () => sqliteIn(join(tempDir(), 'new'));

describe('a copy from SQLite to SQLite', () => {
  copyContract(openTestSqlite, emptySqlite);
  failureContract(emptySqlite);

  it("makes files that are their owner's alone", async () => {
    const { storage } = await filled(openTestSqlite);
    const to = await emptySqlite();
    await copy(storage, to);
    for (const path of [to.path, to.logPath]) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(to.path)).mode & 0o777).toBe(0o700);
  });

  it('leaves every row in the two files themselves', async () => {
    const { storage, content } = await filled(openTestSqlite);
    const to = await emptySqlite();
    await copy(storage, to);
    const alone = await emptySqlite();
    mkdirSync(dirname(alone.path));
    copyFileSync(to.path, alone.path);
    copyFileSync(to.logPath, alone.logPath);
    expect(await contentOf(await reopened(alone))).toEqual(content);
  });

  it('does not call a copy done while a reader keeps rows out of them', async () => {
    const { storage } = await filled(openTestSqlite);
    const to = await emptySqlite();
    const { DatabaseSync } = loadSqlite();
    const readers: InstanceType<typeof DatabaseSync>[] = [];
    const kept = copy(storage, to, {
      onRows(table) {
        if (table !== 'folders') return;
        const reader = new DatabaseSync(to.path);
        reader.exec('BEGIN; SELECT count(*) FROM folders');
        readers.push(reader);
      },
    });
    await expectRefusal(kept, `${to.path} is in use`);
    for (const reader of readers) reader.close();
  });

  it('finds content that differs, and leaves the mark', async () => {
    const { storage } = await filled(openTestSqlite);
    const to = await emptySqlite();
    const spoiled = copy(storage, to, {
      onRows(table) {
        if (table !== 'serials') return;
        const { DatabaseSync } = loadSqlite();
        const intruder = new DatabaseSync(to.path);
        intruder.exec("UPDATE folders SET title = 'Folder' WHERE id = 'f7'");
        intruder.close();
      },
    });
    await expectRefusal(spoiled, 'folders differs after the copy: 40 rows read, 40 rows found');
    const starting = openDatabase(to, { migrations: MIGRATIONS, clock: systemClock });
    await expect(starting).rejects.toThrow(/target of a storage copy that did not finish/);
  });

  it('refuses a source whose data directory a server holds', async () => {
    const { storage } = await filled(openTestSqlite);
    const lock = lockDataDir(dirname((storage as { path: string }).path));
    await expectRefusal(copy(storage, await emptySqlite()), /in use by another server process/);
    lock.release();
  });

  it('refuses a source that another process has open, whatever its data directory', async () => {
    const { storage } = await filled(openTestSqlite);
    const child = startSource(new URL('../../../testing/hold-child.ts', import.meta.url), [
      JSON.stringify(storage),
    ]);
    const exit = endOf(child, () => isOpen.resolve());
    const isOpen = deferred();
    await isOpen.promise;
    await expectRefusal(copy(storage, await emptySqlite()), /is in use: stop the server first/);
    child.kill('SIGKILL');
    await exit;
    await copy(storage, await emptySqlite());
  });

  it('refuses a source that is not there, and one that is no installation', async () => {
    const nowhere = sqliteIn(tempDir());
    await expectRefusal(copy(nowhere, await emptySqlite()), /does not exist/);
    const { DatabaseSync } = loadSqlite();
    for (const path of [nowhere.path, nowhere.logPath]) new DatabaseSync(path).exec('CREATE TABLE x (y)');
    await expectRefusal(copy(nowhere, await emptySqlite()), /holds no installation/);
  });
});

onPostgres((openPostgres) => {
  const emptyPostgres = async () => {
    const db = await opened(openPostgres, []);
    await db.close();
    return db.storage;
  };
  async function query(storage: StorageOptions, sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: (storage as { url: string }).url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  describe('a copy from SQLite to PostgreSQL', () => {
    copyContract(openTestSqlite, emptyPostgres);
    failureContract(emptyPostgres);

    it('makes a partition for every day that has rows', async () => {
      const { storage } = await filled(openTestSqlite);
      const to = await emptyPostgres();
      await copy(storage, to);
      const counts = await query(
        to,
        'SELECT tableoid::regclass::text AS name, count(*)::int AS rows FROM events GROUP BY 1 ORDER BY 1',
      );
      expect(counts).toEqual([
        { name: 'events_p19700121', rows: 1_440 },
        { name: 'events_p19700122', rows: 1_060 },
      ]);
    });
  });

  describe('a copy from PostgreSQL to SQLite', () => {
    copyContract(openPostgres, emptySqlite);

    it('refuses a source that a server is connected to', async () => {
      const db = await opened(openPostgres, MIGRATIONS);
      await expectRefusal(
        copy(db.storage, await emptySqlite()),
        'the source is in use: stop every server on it',
      );
    });

    it('refuses a source that somebody else is writing to', async () => {
      const { storage } = await filled(openPostgres);
      const writer = new pg.Client({ connectionString: (storage as { url: string }).url });
      await writer.connect();
      await writer.query("BEGIN; INSERT INTO folders VALUES ('t', 'i', 'x')");
      await expectRefusal(copy(storage, await emptySqlite()), 'the source is being written to');
      await writer.end();
    });

    it('keeps a server from starting on the source meanwhile', async () => {
      const { storage } = await filled(openPostgres);
      let held: unknown[] = [];
      let asked: Promise<void> | null = null;
      await copy(storage, await emptySqlite(), {
        onRows: () => {
          asked ??= query(storage, 'SELECT pg_try_advisory_lock(4701199812) AS taken').then((rows) => {
            held = rows;
          });
        },
      });
      await asked;
      expect(held).toEqual([{ taken: false }]);
    });
  });
});

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}
