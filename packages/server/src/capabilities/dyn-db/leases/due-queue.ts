import type { Clock } from '../../../kernel/clock.js';
import type { JobContext } from '../../../platform/jobs/definition.js';
import type { ConnectionPlace, LeaseClaims } from './claims.js';
import type { Lease } from './lease.js';

export type RunContext = Pick<JobContext, 'batchMax' | 'isStopping' | 'signal'>;

/** A process that dies keeps its leases so long from the others. */
export const CLAIM_MS = 30_000;
/**
 * Then the place is another connection's; what is left is taken up again behind those that wait. Less than a claim lasts:
 * no lease is handed out that may be another's by now.
 */
export const RUN_MS_MAX = 20_000;

export interface DueQueue {
  next(): Promise<Lease | undefined>;
  /** Hands out no more; resolves when nothing is claimed any more. */
  close(): Promise<void>;
  /** The run came to its end before what is due did. */
  readonly isLeft: boolean;
}

/** Hands out what is due at a connection, one at a time; the next are claimed while the last are being dropped. */
export function createDueQueue(
  { clock, claims }: { readonly clock: Clock; readonly claims: Pick<LeaseClaims, 'claimDue'> },
  place: ConnectionPlace,
  owner: string,
  { batchMax, isStopping, signal }: RunContext,
): DueQueue {
  let waiting: Lease[] = [];
  let filling: Promise<void> | null = null;
  let isDry = false;
  let isClosed = false;
  let isLeft = false;
  const endMs = clock.monotonicMs() + RUN_MS_MAX;

  async function fill(): Promise<void> {
    const nowMs = clock.nowMs();
    const claim = { owner, untilMs: nowMs + CLAIM_MS };
    const claimed = await claims.claimDue(place, claim, nowMs, batchMax);
    if (claimed.length === 0) isDry = true;
    waiting.push(...claimed);
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
        if (isClosed || signal.aborted) return undefined;
        if (isStopping() || clock.monotonicMs() >= endMs) {
          isLeft = true;
          return undefined;
        }
        fillInTime();
        const first = waiting.shift();
        if (first !== undefined) return first;
        if (filling === null) return undefined;
        await filling;
      }
    },
    async close() {
      isClosed = true;
      waiting = [];
      await filling?.catch(() => {});
    },
    get isLeft() {
      return isLeft;
    },
  };
}
