import { describe, expect, it } from 'vitest';
import type { DbConnectionId, TenantId } from '../../../kernel/ids.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { CLAIM_MS, createDueQueue, RUN_MS_MAX } from './due-queue.js';
import type { Lease } from './lease.js';

const PLACE = {
  scope: { tenantId: 'acme' as TenantId, sandbox: false },
  connectionId: 'shop' as DbConnectionId,
};

/** `due` leases at the database; a claim is answered when `claim` is called. */
function setQueue(due: number) {
  const clock = createManualClock();
  const asked: (() => void)[] = [];
  let left = Array.from({ length: due }, (_, n) => n + 1);
  let isStopping = false;
  const claimDue = (_place: unknown, _claim: unknown, _nowMs: number, limit: number) =>
    new Promise<Lease[]>((resolve) => {
      asked.push(() => {
        resolve(left.slice(0, limit).map((id) => ({ id }) as Lease));
        left = left.slice(limit);
      });
    });
  const queue = createDueQueue({ clock, claims: { claimDue } }, PLACE, 'worker', {
    batchMax: 4,
    isStopping: () => isStopping,
    signal: new AbortController().signal,
  });
  return {
    clock,
    queue,
    asked,
    claim: () => asked.shift()?.(),
    stop() {
      isStopping = true;
    },
    async take(count: number) {
      const ids: (number | undefined)[] = [];
      for (let n = 0; n < count; n += 1) ids.push((await queue.next())?.id);
      return ids;
    },
  };
}

describe('the queue of what is due', () => {
  it('claims the next while half of the last are left, and nobody waits for them', async () => {
    const { take, claim, asked } = setQueue(6);
    const first = take(2);
    claim();
    expect(await first).toEqual([1, 2]);
    expect(asked).toHaveLength(0);
    // The claim that this asks for has no answer yet.
    expect(await take(2)).toEqual([3, 4]);
    expect(asked).toHaveLength(1);
    claim();
    const rest = take(3);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toHaveLength(1);
    claim();
    expect(await rest).toEqual([5, 6, undefined]);
    expect(asked).toHaveLength(0);
  });

  it('hands out nothing once the run has lasted long enough, which is before a claim ends, and says that more is left', async () => {
    const { take, claim, clock, queue } = setQueue(5);
    const first = take(1);
    claim();
    expect(await first).toEqual([1]);
    expect(RUN_MS_MAX).toBeLessThan(CLAIM_MS);
    clock.advance(RUN_MS_MAX - 1);
    expect(await take(1)).toEqual([2]);
    expect(queue.isLeft).toBe(false);
    clock.advance(1);
    expect(await take(1)).toEqual([undefined]);
    expect(queue.isLeft).toBe(true);
  });

  it('hands out nothing once it is closed or the server stops, and waits for the claim under way', async () => {
    const { queue, take, claim } = setQueue(9);
    const first = take(3);
    claim();
    expect(await first).toEqual([1, 2, 3]);
    let isClosed = false;
    const closing = queue.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    claim();
    await closing;
    expect(await take(1)).toEqual([undefined]);

    const stopped = setQueue(9);
    const one = stopped.take(1);
    stopped.claim();
    await one;
    stopped.stop();
    expect(await stopped.take(1)).toEqual([undefined]);
  });
});
