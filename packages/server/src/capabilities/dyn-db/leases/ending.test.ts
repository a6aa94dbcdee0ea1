import { expect, it } from 'vitest';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import type { Transaction } from '../../../platform/storage/database.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { backgroundActor } from '../audit.js';
import type { LeaseEnd } from './claims.js';
import { createEnding, type EndingDeps } from './ending.js';
import type { Lease } from './lease.js';

const SCOPE: Scope = { tenantId: 'tenant' as TenantId, sandbox: false };
const lease = (id: number) => ({ id, scope: SCOPE, username: `kc_user_${id}` }) as Lease;

it('writes one row for a lease that its owner has dropped twice, and none for one that is not the owner’s', async () => {
  const [asked, rows]: [LeaseEnd[], unknown[]] = [[], []];
  const ending = createEnding({
    clock: createManualClock(),
    claims: {
      async end(_tx: Transaction, _scope: Scope, _owner: string, ends: readonly LeaseEnd[]) {
        asked.push(...ends);
        return new Set(ends.map(({ id }) => id).filter((id) => id !== 4));
      },
    },
    auditLogs: {
      recordAll: async (_tx: Transaction, _actor: unknown, entries: readonly { resourceId: string }[]) => {
        rows.push(...entries.map(({ resourceId }) => resourceId));
      },
    },
  } as unknown as EndingDeps);
  const ended = [
    { lease: lease(2), cause: 'mint_failed' },
    { lease: lease(3), cause: 'expired' },
    { lease: lease(2), cause: 'revoked' },
    { lease: lease(4), cause: 'expired' },
    { lease: lease(2), cause: 'mint_failed' },
  ] as const;
  const tx = {} as Transaction;
  expect([...(await ending.endIn(tx, SCOPE, 'owner', ended, backgroundActor(SCOPE)))]).toEqual([2, 3]);
  expect(asked.map(({ id, cause }) => [id, cause])).toEqual([
    [2, 'mint_failed'],
    [3, 'expired'],
    [4, 'expired'],
  ]);
  expect(rows).toEqual(['2', '3']);
});
