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
    onRefusedRow: (one) => refused.push(one.requestId),
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
