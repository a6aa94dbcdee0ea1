import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Scope, VaultId } from '../../../kernel/ids.js';
import { type ListOptions, offsetOf } from '../../../platform/http/pagination.js';
import { STEP_TOKENS } from './counts.js';
import type { Token, TokenPlace, TokenStore } from './store.js';

/** One page of a vault's active tokens; what lies before it is passed in steps, as it is when they are counted. */
export async function listPage(
  store: Pick<TokenStore, 'list' | 'placeAfter'>,
  scope: Scope,
  vaultId: VaultId,
  { page, perPage, order }: ListOptions<'created_at'>,
  nowMs: number,
): Promise<Token[]> {
  let from: TokenPlace | null = null;
  let skip = offsetOf(page, perPage);
  while (skip >= STEP_TOKENS) {
    from = await store.placeAfter(scope, vaultId, from, STEP_TOKENS, { order, activeAtMs: nowMs });
    if (!from) return [];
    skip -= STEP_TOKENS;
    await nextTurn();
  }
  return store.list(scope, vaultId, { order, from, skip, limit: perPage }, nowMs);
}
