import { beforeEach, expect, test } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Insertion } from '../../platform/storage/database.js';
import { createManualClock, type ManualClock } from '../../testing/manual-clock.js';
import type { ApiLogEntry } from './api-log.js';
import { createLogQueue, type LogQueue } from './log-queue.js';
import { entry } from './store.contract.js';

const scope: Scope = { tenantId: 't' as TenantId, sandbox: false };

let clock: ManualClock;
let committed: string[][];
let refused: string[];
/** What the next commits do: reject with it, or take the rows. */
let failures: (Error | null)[];
let isBad: (requestId: string) => boolean;
let queue: LogQueue;

beforeEach(() => {
  clock = createManualClock();
  committed = [];
  refused = [];
  failures = [];
  isBad = () => false;
  queue = createLogQueue({
    clock,
    store: {
      insertion: (one: ApiLogEntry, loggedAtMs: number): Insertion => ({
        shape: { table: 'api_logs', file: 'log', columns: ['request_id', 'logged_at'], given: 2 },
        values: [one.requestId, loggedAtMs],
        isJson: true,
      }),
    },
    db: {
      async commitInserts(rows) {
        const failure = failures.shift();
        if (failure) throw failure;
        const ids = rows.map((row) => String(row.values[0]));
        if (ids.some(isBad)) throw new Error('refused');
        committed.push(ids);
      },
    },
    onLostRow: (one) => refused.push(one.requestId),
  });
});

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const down = () => new AppError('dependency_unavailable', 'down');

test('rows linger and share one commit', async () => {
  queue.append(entry(scope, 'a'));
  clock.advance(49);
  queue.append(entry(scope, 'b'));
  await settle();
  expect(committed).toEqual([]);
  clock.advance(1);
  await settle();
  expect(committed).toEqual([['a', 'b']]);
});

test('a flush waits for nothing and covers all that was appended', async () => {
  for (let i = 0; i < 1200; i += 1) queue.append(entry(scope, String(i)));
  await queue.flush();
  expect(committed.map((batch) => batch.length)).toEqual([500, 500, 200]);
  expect(committed.flat()).toEqual(Array.from({ length: 1200 }, (_, i) => String(i)));
});

test('a flush during a write also waits for the rows that came after it', async () => {
  queue.append(entry(scope, 'a'));
  const first = queue.flush();
  queue.append(entry(scope, 'b'));
  await queue.flush();
  await first;
  expect(committed).toEqual([['a'], ['b']]);
});

test('rows are kept and tried again while the database is down', async () => {
  failures = [down(), down()];
  queue.append(entry(scope, 'a'));
  await expect(queue.flush()).rejects.toMatchObject({ type: 'dependency_unavailable' });
  clock.advance(50);
  await settle();
  expect(committed).toEqual([]);
  clock.advance(50);
  await settle();
  expect(committed).toEqual([['a']]);
  expect(refused).toEqual([]);
});

test('a row that the database refuses is told and takes no other with it', async () => {
  isBad = (id) => id === 'b';
  for (const id of ['a', 'b', 'c']) queue.append(entry(scope, id));
  await queue.flush();
  expect(committed).toEqual([['a'], ['c']]);
  expect(refused).toEqual(['b']);
});

test('no call starts while the queue is full, and again once it has drained', async () => {
  for (let i = 0; i < 20_000; i += 1) queue.append(entry(scope, String(i)));
  expect(() => queue.assertRoom()).toThrow(expect.objectContaining({ type: 'dependency_unavailable' }));
  await queue.flush();
  queue.assertRoom();
  expect(committed.flat()).toHaveLength(20_000);
});

test('rows written one by one are not written again when the database goes away among them', async () => {
  isBad = (id) => id === 'bad';
  for (const id of ['a', 'b', 'bad', 'c']) queue.append(entry(scope, id));
  // The batch of four is refused, then a and b go in, then the database is down for the bad one.
  let calls = 0;
  isBad = (id) => {
    if (id === 'bad' && ++calls === 2) throw down();
    return id === 'bad';
  };
  await expect(queue.flush()).rejects.toMatchObject({ type: 'dependency_unavailable' });
  await queue.flush();
  expect(committed.flat()).toEqual(['a', 'b', 'c']);
  expect(refused).toEqual(['bad']);
});

test('rows of refused calls too are bounded, and what is lost is told', async () => {
  const bound = 30_000;
  for (let i = 0; i < bound; i++) queue.append(entry(scope, 'kept'));
  expect(() => queue.assertRoom()).toThrow('cannot take more');
  queue.append(entry(scope, 'one too many'));
  expect(refused).toEqual(['one too many']);
  await queue.flush();
  expect(committed.flat()).toHaveLength(bound);
});

test('keeps up however many rows come in each turn', async () => {
  const rows = 20_000;
  for (let appended = 0; appended < rows; appended += 500) {
    for (let i = 0; i < 500; i++) queue.append(entry(scope, 'row'));
    clock.advance(50);
    await settle();
  }
  await queue.flush();
  expect(committed.flat()).toHaveLength(rows);
  expect(Math.max(...committed.map((batch) => batch.length))).toBeLessThanOrEqual(500);
});
