import type { Clock } from '../../../kernel/clock.js';
import type { JobContext } from '../../../platform/jobs/definition.js';
import type { ConnectionPlace, LeaseClaims } from './claims.js';
import type { Lease } from './lease.js';

export type RunContext = Pick<JobContext, 'batchMax' | 'isStopping' | 'signal'>;

/** A process that dies keeps its leases so long from the others. */
export const CLAIM_MS = 30_000;

export interface DueQueue {
  next(): Promise<Lease | undefined>;
  /** Hands out no more; resolves when nothing is claimed any more. */
  close(): Promise<void>;
}

/** Hands out what is due at a connection, one at a time; the next are claimed while the last are being dropped. */
export function createDueQueue(
  { clock, claims }: { readonly clock: Clock; readonly claims: Pick<LeaseClaims, 'claimDue'> },
  place: ConnectionPlace,
  owner: string,
  { batchMax, isStopping, signal }: RunContext,
): DueQueue {
  let waiting: { readonly lease: Lease; readonly untilMs: number }[] = [];
  let filling: Promise<void> | null = null;
  let isDry = false;
  let isClosed = false;

  async function fill(): Promise<void> {
    const nowMs = clock.nowMs();
    const untilMs = nowMs + CLAIM_MS;
    const claimed = await claims.claimDue(place, { owner, untilMs }, nowMs, batchMax);
    if (claimed.length === 0) isDry = true;
    waiting.push(...claimed.map((lease) => ({ lease, untilMs })));
    filling = null;
  }

  function fillInTime(): void {
    if (isDry || filling !== null || waiting.length > batchMax / 2) return;
    filling = fill();
    // Who runs out of leases is told.
    filling.catch(() => {});
  }

  return {
    async next() {
      for (;;) {
        if (isClosed || isStopping() || signal.aborted) return undefined;
        fillInTime();
        const first = waiting.shift();
        // What was not begun while the claim held may be another's by now.
        if (first !== undefined && clock.nowMs() < first.untilMs) return first.lease;
        if (first !== undefined) continue;
        if (filling === null) return undefined;
        await filling;
      }
    },
    async close() {
      isClosed = true;
      waiting = [];
      await filling?.catch(() => {});
    },
  };
}
