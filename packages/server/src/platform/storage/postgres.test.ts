import { createServer, type Server, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { type OpenTestDatabase, onPostgres, type TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import { startRelay } from '../../testing/relay.js';
import type { Database, View } from './database.js';
import { openDatabase } from './open-database.js';
import { DatabaseUnreachable } from './postgres-errors.js';

const DAY_MS = 86_400_000;
const UNAVAILABLE = { type: 'dependency_unavailable', dependency: 'database', retryAfterSeconds: 1 };

onPostgres(postgresSuite);

describe('a PostgreSQL that does not answer', () => {
  let server: Server;
  const sockets = new Set<Socket>();
  beforeAll(async () => {
    // Accepts and ends the connection, as a proxy in front of a dead server does.
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('data', () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it.each([
    ['closed', 'ECONNREFUSED'],
    ['dropping', 'Connection terminated unexpectedly'],
  ])('is told with its address at the opening: %s port', async (kind, reason) => {
    const address = server.address();
    const port = kind === 'closed' ? 1 : typeof address === 'object' ? address?.port : 0;
    const url = `postgres://user:canary-password@127.0.0.1:${port}/none`;
    const opening = openDatabase(
      { kind: 'postgres', url, poolMax: 2 },
      { migrations: [], clock: systemClock },
    );
    await expect(opening).rejects.toThrow(DatabaseUnreachable);
    await expect(opening).rejects.toMatchObject({ message: `cannot reach 127.0.0.1:${port} (${reason})` });
  });
});

function postgresSuite(open: OpenTestDatabase): void {
  const clock = createManualClock();
  let db: TestDatabase;
  let view: View<NotesDb>;
  let admin: pg.Client;
  beforeEach(async () => {
    db = await open(NOTE_MIGRATIONS, { clock });
    view = db.view(NOTE_TABLES);
    admin = new pg.Client({ connectionString: db.storage.kind === 'postgres' ? db.storage.url : '' });
    await admin.connect();
  });
  afterEach(async () => {
    await admin.end();
    await db.cleanup();
  });

  async function partitions(): Promise<string[]> {
    const { rows } = await admin.query(
      "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY 1",
    );
    return rows.map((row) => row.relname);
  }

  function dayOf(ms: number): string {
    return `events_p${new Date(ms).toISOString().slice(0, 10).replaceAll('-', '')}`;
  }

  async function killConnections(): Promise<void> {
    await admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
  }

  describe('day partitions', () => {
    it('are there for today and two days more, with a default one', async () => {
      const now = clock.nowMs();
      expect(await partitions()).toEqual([
        'events_default',
        dayOf(now),
        dayOf(now + DAY_MS),
        dayOf(now + 2 * DAY_MS),
      ]);
    });

    it('take the rows of their day, and the default one the rest', async () => {
      const at = (id: string, createdAt: number) =>
        view.insertion('events', LIVE, { id, created_at: createdAt, text: null });
      const midnight = Math.floor(clock.nowMs() / DAY_MS) * DAY_MS;
      await db.commitInserts([
        at('a', midnight),
        at('b', midnight + DAY_MS - 1),
        at('c', midnight + DAY_MS),
        at('d', 0),
      ]);
      const { rows } = await admin.query(
        'SELECT id, tableoid::regclass::text AS part FROM events ORDER BY id',
      );
      expect(rows.map((row) => row.part)).toEqual([
        dayOf(midnight),
        dayOf(midnight),
        dayOf(midnight + DAY_MS),
        'events_default',
      ]);
    });

    it('are made ahead as the days go by', async () => {
      const evening = createManualClock(Date.UTC(2026, 2, 1, 23, 30));
      const again = await openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock: evening });
      expect(await partitions()).not.toContain('events_p20260304');
      evening.advance(3_600_000);
      // Stops the timer, after the run that is on its way.
      await again.close();
      expect(await partitions()).toContain('events_p20260304');
    });

    it('are dropped once they are past, the default one never', async () => {
      const today = clock.nowMs();
      const midnight = Math.floor(today / DAY_MS) * DAY_MS;
      const at = (id: string, createdAt: number) =>
        view.insertion('events', LIVE, { id, created_at: createdAt, text: null });
      await db.commitInserts([at('first', midnight), at('next', midnight + DAY_MS), at('elsewhere', 0)]);
      expect(await db.dropDays('events', midnight + DAY_MS - 1)).toBe(0);
      expect(await db.dropDays('events', midnight + DAY_MS)).toBe(1);
      expect(await db.dropDays('events', midnight + DAY_MS)).toBe(0);
      expect(await partitions()).toEqual([
        'events_default',
        dayOf(today + DAY_MS),
        dayOf(today + 2 * DAY_MS),
      ]);
      const { rows } = await admin.query('SELECT id FROM events ORDER BY id');
      expect(rows.map(({ id }) => id)).toEqual(['elsewhere', 'next']);
      await expect(db.dropDays('notes', midnight)).rejects.toThrow('not partitioned');
    });

    it('are not dropped while somebody reads them: the try ends before writers have waited long', async () => {
      const midnight = Math.floor(clock.nowMs() / DAY_MS) * DAY_MS;
      await admin.query('BEGIN');
      await admin.query('SELECT 1 FROM events');
      const dropping = db.dropDays('events', midnight + DAY_MS);
      await expect(dropping).rejects.toMatchObject(UNAVAILABLE);
      await admin.query('COMMIT');
      expect(await db.dropDays('events', midnight + DAY_MS)).toBe(1);
    });

    it('leave alone a day whose rows the default partition holds already', async () => {
      const distant = clock.nowMs() + 40 * DAY_MS;
      await db.commitInserts([
        view.insertion('events', LIVE, { id: 'early', created_at: distant, text: null }),
      ]);
      const ahead = createManualClock(distant);
      const warned: string[] = [];
      const logger = { warn: (_: object, message: string) => warned.push(message), error: () => {} };
      const again = await openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock: ahead, logger });
      expect(
        await again.view<NotesDb>(NOTE_TABLES).scoped(LIVE).selectFrom('events').select('id').execute(),
      ).toEqual([{ id: 'early' }]);
      await again.close();
      expect(warned).toEqual(['the default partition already holds rows of this day; they stay there']);
      expect(await partitions()).not.toContain(dayOf(distant));
      expect(await partitions()).toContain(dayOf(distant + DAY_MS));
    });
  });

  describe('transactions', () => {
    it('run again when the database could not order them', async () => {
      await view
        .system('metrics')
        .insertInto('counters')
        .values([
          { id: 'a', value: 1 },
          { id: 'b', value: 1 },
        ])
        .execute();
      let runs = 0;
      let bothRead = () => {};
      const barrier = new Promise<void>((resolve) => (bothRead = resolve));
      // Write skew: each reads both and empties one if the sum allows. One after the other, the second may not.
      const take = (id: string) =>
        db.transaction(async (tx) => {
          const counters = await view.system('metrics', tx).selectFrom('counters').select('value').execute();
          if (++runs === 2) bothRead();
          await barrier;
          const sum = counters.reduce((total, row) => total + row.value, 0);
          if (sum < 2) return false;
          await view
            .system('metrics', tx)
            .updateTable('counters')
            .set({ value: 0 })
            .where('id', '=', id)
            .execute();
          return true;
        });
      expect((await Promise.all([take('a'), take('b')])).sort()).toEqual([false, true]);
      expect(runs).toBeGreaterThan(2);
    });

    it('run again also when the function hides the cause', async () => {
      await view.system('metrics').insertInto('counters').values({ id: 'a', value: 0 }).execute();
      const add = () =>
        db.transaction(async (tx) => {
          try {
            const [row] = await view.system('metrics', tx).selectFrom('counters').select('value').execute();
            await view
              .system('metrics', tx)
              .updateTable('counters')
              .set({ value: row!.value + 1 })
              .execute();
          } catch {
            throw new Error('something else');
          }
        });
      await Promise.all(Array.from({ length: 24 }, add));
      expect(await view.system('metrics').selectFrom('counters').select('value').execute()).toEqual([
        { value: 24 },
      ]);
    });

    it('of several processes all get through, however many change the same row', async () => {
      const processes = await Promise.all(
        Array.from({ length: 3 }, () => openDatabase(db.storage, { migrations: NOTE_MIGRATIONS, clock })),
      );
      await view.system('metrics').insertInto('counters').values({ id: 'a', value: 0 }).execute();
      const add = (process: Database) => {
        const own = process.view<NotesDb>(NOTE_TABLES);
        return process.transaction(async (tx) => {
          const [row] = await own.system('metrics', tx).selectFrom('counters').select('value').execute();
          await own
            .system('metrics', tx)
            .updateTable('counters')
            .set({ value: row!.value + 1 })
            .execute();
        });
      };
      await Promise.all(processes.flatMap((process) => Array.from({ length: 40 }, () => add(process))));
      expect(await view.system('metrics').selectFrom('counters').select('value').execute()).toEqual([
        { value: 120 },
      ]);
      for (const process of processes) await process.close();
    });

    it('hold a row that they lock', async () => {
      await view.system('metrics').insertInto('counters').values({ id: 'a', value: 0 }).execute();
      await db.transaction(async (tx) => {
        await tx.lock('counters', 'a');
        await expect(
          admin.query("SELECT 1 FROM counters WHERE id = 'a' FOR UPDATE NOWAIT"),
        ).rejects.toMatchObject({ code: '55P03' });
      });
      await expect(db.transaction((tx) => tx.lock('counters"; --', 'a'))).rejects.toThrow(
        'lower-case identifier',
      );
    });

    it('fail as unavailable when their connection ends, and the next ones go on', async () => {
      const failing = db.transaction(async (tx) => {
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('a')).execute();
        await killConnections();
        await view.scoped(LIVE, tx).insertInto('notes').values(noteOf('b')).execute();
      });
      await expect(failing).rejects.toMatchObject(UNAVAILABLE);
      expect(await view.scoped(LIVE).selectFrom('notes').select('id').execute()).toEqual([]);
    });
  });

  it('group commit goes on after idle connections were ended', async () => {
    await db.commitInserts([view.insertion('notes', LIVE, noteOf('a'))]);
    await killConnections();
    const write = () => db.commitInserts([view.insertion('notes', LIVE, noteOf('b'))]);
    // The pool may find out at this write; then the caller is told to come back, and the next one succeeds.
    await write().catch((error: unknown) => {
      expect(error).toMatchObject(UNAVAILABLE);
      return write();
    });
    const rows = await view.scoped(LIVE).selectFrom('notes').select('id').orderBy('id').execute();
    expect(rows).toEqual([{ id: 'a' }, { id: 'b' }]);
  });

  it('once one connection has gone silent, none of its age is used', async () => {
    const url = new URL(db.storage.kind === 'postgres' ? db.storage.url : '');
    const relay = await startRelay({ host: url.hostname, port: Number(url.port) });
    url.port = String(relay.port);
    const behind = await openDatabase(
      { kind: 'postgres', url: url.href, poolMax: 4 },
      { migrations: NOTE_MIGRATIONS, clock },
    );
    await Promise.all(Array.from({ length: 4 }, () => behind.ping()));
    relay.silence();
    const unanswered = behind.ping();
    await relay.restore();
    await expect(unanswered).rejects.toMatchObject(UNAVAILABLE);
    // The three others are as dead as that one.
    await behind.ping();
    await behind.close();
    await relay.close();
  });

  it('a batch with many bad rows keeps the good ones', async () => {
    const taken = Array.from({ length: 20 }, (_, index) =>
      view.insertion('notes', LIVE, noteOf(`n${index * 7}`)),
    );
    await db.commitInserts(taken);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 140 }, (_, index) =>
        db.commitInserts([view.insertion('notes', LIVE, noteOf(`n${index}`))]),
      ),
    );
    const refused = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []));
    expect(refused).toEqual(Array.from({ length: 20 }, (_, index) => index * 7));
  });

  it('refuses a database of another encoding', async () => {
    const url = new URL(db.storage.kind === 'postgres' ? db.storage.url : '');
    const ascii = `${url.pathname.slice(1)}_ascii`;
    await admin.query(`CREATE DATABASE ${ascii} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`);
    url.pathname = `/${ascii}`;
    const opening = openDatabase({ kind: 'postgres', url: url.href, poolMax: 1 }, { migrations: [], clock });
    await expect(opening).rejects.toThrow('UTF8');
    await admin.query(`DROP DATABASE ${ascii} WITH (FORCE)`);
  });
}
