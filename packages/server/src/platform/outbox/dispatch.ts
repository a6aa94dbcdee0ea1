import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../crypto/random.js';
import type { JobContext, JobReport } from '../jobs/definition.js';
import { backOffMs, errorText, type RetryRule } from '../jobs/retry.js';
import type { Database } from '../storage/database.js';
import type { Delivery, DeliveryFailure, OutboxEvent, OutboxStore } from './store.js';

export interface OutboxListener {
  /** snake_case; its rows are stored under it. */
  readonly name: string;
  wants(type: string): boolean;
  /** Rejects when the event shall come again. It may come twice: `event.id` tells. */
  handle(event: OutboxEvent, signal: AbortSignal): Promise<void>;
}

export interface DispatchDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly store: OutboxStore;
  readonly clock: Clock;
  readonly random: Random;
}

const RETRY: RetryRule = { attemptsMax: 20, firstDelayMs: 1_000, delayMsMax: 3_600_000 };

const HANDLE_MS_MAX = 10_000;
/** After this long no further event is begun, so that the run ends and its results are written. */
const RUN_MS_MAX = 60_000;
const KEYS_AT_ONCE = 8;

/** One batch for one listener: keys side by side, the events of a key one after the other. */
export async function dispatch(
  { db, store, clock, random }: DispatchDeps,
  listener: OutboxListener,
  context: JobContext,
): Promise<JobReport> {
  const startedAtMs = clock.monotonicMs();
  const delivered: number[] = [];
  const failed: DeliveryFailure[] = [];
  const mayGoOn = () =>
    !context.isStopping() && !context.signal.aborted && clock.monotonicMs() - startedAtMs < RUN_MS_MAX;

  async function handOver(line: readonly Delivery[]): Promise<void> {
    for (const { rowId, event, attempts } of line) {
      if (!mayGoOn()) return;
      try {
        await handled(listener, event, context.signal, clock);
        delivered.push(rowId);
      } catch (error) {
        // Cut short with the run: no failure of the listener.
        if (context.signal.aborted) return;
        failed.push(failureOf(rowId, attempts + 1, error));
        return;
      }
    }
  }

  function failureOf(rowId: number, attempts: number, error: unknown): DeliveryFailure {
    const isDead = RETRY.attemptsMax !== null && attempts >= RETRY.attemptsMax;
    const runAtMs = isDead ? null : clock.nowMs() + backOffMs(RETRY, attempts, random);
    return { rowId, attempts, runAtMs, error: errorText(error) };
  }

  const lines = linesOf(await store.due(listener.name, clock.nowMs(), context.batchMax));
  const remaining = lines.values();
  await Promise.all(
    Array.from({ length: KEYS_AT_ONCE }, async () => {
      for (const line of remaining) await handOver(line);
    }),
  );
  if (delivered.length + failed.length > 0) {
    await db.transaction(async (tx) => {
      await context.fence(tx);
      await store.settle(tx, delivered, failed);
    });
  }
  const dead = failed.filter(({ runAtMs }) => runAtMs === null).length;
  const againInMs = await nextIn(store, listener.name, clock.nowMs());
  return {
    rows: delivered.length,
    details: { failed: failed.length, dead },
    ...(againInMs === null ? {} : { againInMs }),
  };
}

async function nextIn(store: OutboxStore, listener: string, nowMs: number): Promise<number | null> {
  const [more] = await store.due(listener, nowMs, 1);
  if (more) return 0;
  const atMs = await store.nextTryAtMs(listener, nowMs);
  return atMs === null ? null : atMs - nowMs;
}

/** What has to stay in order, each in a line of its own. */
function linesOf(deliveries: readonly Delivery[]): Delivery[][] {
  const lines = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const { scope, key } = delivery.event;
    const name = key === null ? String(delivery.rowId) : JSON.stringify([scope.tenantId, scope.sandbox, key]);
    const line = lines.get(name);
    if (line) line.push(delivery);
    else lines.set(name, [delivery]);
  }
  return [...lines.values()];
}

async function handled(
  listener: OutboxListener,
  event: OutboxEvent,
  outer: AbortSignal,
  clock: Clock,
): Promise<void> {
  const late = new AbortController();
  const signal = AbortSignal.any([outer, late.signal]);
  const cancel = clock.setTimer(HANDLE_MS_MAX, () =>
    late.abort(new Error(`the listener did not end within ${HANDLE_MS_MAX} ms`)),
  );
  const aborted = new Promise<never>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
  try {
    await Promise.race([listener.handle(event, signal), aborted]);
  } finally {
    cancel();
  }
}
