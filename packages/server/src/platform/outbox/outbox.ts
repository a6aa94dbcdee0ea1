import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../crypto/random.js';
import { batchReport, type JobDefinition } from '../jobs/definition.js';
import type { Jobs } from '../jobs/jobs.js';
import type { Database, Transaction } from '../storage/database.js';
import { dispatch, type OutboxListener } from './dispatch.js';
import { createOutboxStore, type Delivery, type ListenerStatus, type OutboxEvent } from './store.js';

export interface OutboxDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly jobs: Pick<Jobs, 'wake' | 'runNow'>;
}

/** Events that are true if and only if their change was committed. */
export interface Outbox {
  /** Before the start; what was published before a listener came is not for it. */
  listen(listener: OutboxListener): void;
  /** In the transaction of the change. An event that nobody wants leaves no row. Returns its id. */
  publish(tx: Transaction, event: Omit<OutboxEvent, 'id' | 'publishedAtMs'>): Promise<string>;
  /** A job for each listener, so that a slow one keeps no other waiting. */
  definitions(): JobDefinition[];
  status(): Promise<ListenerStatus[]>;
  /** Given up, the oldest first. */
  deadLetters(listener: string, limit: number): Promise<Delivery[]>;
  /** Tries dead letters again, after what has overtaken them; how many. */
  revive(listener: string): Promise<number>;
}

const PAYLOAD_CHARACTERS_MAX = 65_536;
const KEY_CHARACTERS_MAX = 255;
const REVIVED_MAX = 1_000;
const KEPT_MS = 90 * 24 * 3_600_000;

export function createOutbox({ db, clock, ids, random, jobs }: OutboxDeps): Outbox {
  const store = createOutboxStore(db);
  const listeners = new Map<string, OutboxListener>();

  function dispatcher(listener: OutboxListener): JobDefinition {
    return {
      kind: kindOf(listener.name),
      title: `Hands events to ${listener.name}`,
      schedule: { everyMs: 60_000 },
      wakeDelayMs: 20,
      batchMax: 100,
      run: (context) => dispatch({ db, store, clock, random }, listener, context),
    };
  }

  const retention: JobDefinition = {
    kind: 'outbox_retention',
    title: 'Removes events that nobody took in 90 days, dead letters too',
    schedule: { everyMs: 3_600_000 },
    batchMax: 1_000,
    async run({ batchMax }) {
      const rows = await store.deleteOlder(clock.nowMs() - KEPT_MS, batchMax);
      return batchReport(rows, rows >= batchMax);
    },
  };

  return {
    listen(listener) {
      assert(!listeners.has(listener.name), `two listeners are named "${listener.name}"`);
      listeners.set(listener.name, listener);
    },
    async publish(tx, event) {
      const id = ids.uuid();
      const names = [...listeners.values()]
        .filter((listener) => listener.wants(event.type))
        .map(({ name }) => name);
      if (names.length === 0) return id;
      assert(
        JSON.stringify(event.payload).length <= PAYLOAD_CHARACTERS_MAX,
        `${event.type}: payload too large`,
      );
      assert((event.key ?? '').length <= KEY_CHARACTERS_MAX, `${event.type}: key too long`);
      await store.insert(tx, { ...event, id, publishedAtMs: clock.nowMs() }, names);
      tx.afterCommit(() => {
        for (const name of names) jobs.wake(kindOf(name));
      });
      return id;
    },
    definitions: () => [...[...listeners.values()].map(dispatcher), retention],
    status: store.status,
    deadLetters: store.deadLetters,
    async revive(listener) {
      const count = await store.revive(listener, clock.nowMs(), REVIVED_MAX);
      // Not a wake: where a command revives them, another process hands them over.
      if (count > 0) await jobs.runNow(kindOf(listener));
      return count;
    },
  };
}

function kindOf(listener: string): string {
  return `outbox_${listener}`;
}
