import { expect, it } from 'vitest';
import type { Scope, TenantId, TokenId, VaultId } from '../../../kernel/ids.js';
import { listPage } from './pages.js';
import type { Token } from './store.js';

const SCOPE: Scope = { tenantId: 'tenant' as TenantId, sandbox: false };
const VAULT = 'vault' as VaultId;
const NOW_MS = 1_000;
const TOKENS = 12_345;

/** Page `page` of tokens that are numbered by age; what was asked of the store, and what turns of the loop went by. */
async function readPage(page: number, perPage = 100) {
  const asked: (number | null)[][] = [];
  const listed = await listPage(
    {
      async placeAfter(_scope, _vault, from, tokens, { order, activeAtMs }) {
        expect([order, activeAtMs]).toEqual(['asc', NOW_MS]);
        const at = (from?.createdAtMs ?? 0) + tokens;
        asked.push([at]);
        return at <= TOKENS ? { createdAtMs: at, id: String(at) as TokenId } : null;
      },
      async list(_scope, _vault, { from, skip, limit }) {
        const first = (from?.createdAtMs ?? 0) + skip;
        asked.push([from?.createdAtMs ?? null, skip]);
        const length = Math.max(0, Math.min(limit, TOKENS - first));
        return Array.from({ length }, (_, n) => ({ createdAtMs: first + n + 1 }) as Token);
      },
    },
    SCOPE,
    VAULT,
    { page, perPage, sort: 'created_at', order: 'asc' },
    NOW_MS,
  );
  return { asked, numbers: listed.map(({ createdAtMs }) => createdAtMs) };
}

it('reads a near page in one query', async () => {
  const { asked, numbers } = await readPage(50);
  expect([numbers[0], numbers.length]).toEqual([4_901, 100]);
  expect(asked).toEqual([[null, 4_900]]);
});

it('passes what lies before a far one in steps', async () => {
  const { asked, numbers } = await readPage(124);
  expect([numbers[0], numbers.at(-1)]).toEqual([12_301, 12_345]);
  expect(asked).toEqual([[5_000], [10_000], [10_000, 2_300]]);
});

it('ends at the last token, however far the page', async () => {
  const { asked, numbers } = await readPage(1_000_000);
  expect(numbers).toEqual([]);
  expect(asked).toEqual([[5_000], [10_000], [15_000]]);
});
