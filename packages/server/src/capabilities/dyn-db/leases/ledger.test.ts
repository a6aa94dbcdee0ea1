import { expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import type { Ended } from './ending.js';
import type { Lease } from './lease.js';
import { createLedger } from './ledger.js';

const SCOPE = { tenantId: 'acme' as TenantId, sandbox: false };

function setLedger() {
  const clock = createManualClock();
  const commits: number[][] = [];
  let failure: Error | null = null;
  const ledger = createLedger(
    {
      clock,
      ending: {
        async end(_scope, owner, ended) {
          expect(owner).toBe('worker');
          if (failure) throw failure;
          const ids = ended.map(({ lease }) => lease.id);
          commits.push(ids);
          return new Set(ids);
        },
      },
    },
    SCOPE,
    'worker',
  );
  const add = (...ids: number[]) => {
    for (const id of ids) ledger.add({ lease: { id } as Lease, cause: 'expired' } satisfies Ended);
  };
  return {
    clock,
    commits,
    ledger,
    add,
    fail(error: Error) {
      failure = error;
    },
  };
}

const written = () => new Promise((resolve) => setImmediate(resolve));

it('writes what came within a moment with one commit, and at most 100 of them', async () => {
  const { clock, commits, ledger, add } = setLedger();
  add(1, 2);
  clock.advance(99);
  await written();
  expect(commits).toEqual([]);
  add(3);
  clock.advance(1);
  await written();
  expect(commits).toEqual([[1, 2, 3]]);
  add(...Array.from({ length: 101 }, (_, n) => 4 + n));
  await written();
  expect(commits.map((ids) => ids.length)).toEqual([3, 100]);
  expect(await ledger.settle()).toBe(104);
  expect(commits.at(-1)).toEqual([104]);
  clock.advance(1_000);
  await written();
  expect(commits).toHaveLength(3);
});

it('tells who settles of a commit that failed', async () => {
  const { commits, ledger, add, fail } = setLedger();
  fail(new Error('the disk is full'));
  add(1);
  await expect(ledger.settle()).rejects.toThrow('the disk is full');
  expect(commits).toEqual([]);
});
