import { expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Transaction } from '../storage/database.js';
import { createScopeCache } from './scope-cache.js';

const live: Scope = { tenantId: 'acme' as TenantId, sandbox: false };
const TX = {} as Transaction;

/** Generations that count what they were told. */
function start() {
  const bumped = new Map<string, number>();
  const state = { isFresh: true, reads: 0 };
  const cache = createScopeCache({
    name: 'rules',
    generations: {
      bump: async (_tx, name) => void bumped.set(name, (bumped.get(name) ?? 0) + 1),
      current: (name) => bumped.get(name) ?? 0,
      isFresh: () => state.isFresh,
    },
    load: async (scope) => `${scope.tenantId} ${scope.sandbox} ${++state.reads}`,
  });
  return { cache, bumped, state };
}

it('reads a tenant and mode once, and then answers at once', async () => {
  const { cache } = start();
  expect(await cache.get(live)).toBe('acme false 1');
  expect(cache.get(live)).toBe('acme false 1');
  expect(await cache.get({ ...live, sandbox: true })).toBe('acme true 2');
});

it('reads again after a change of that tenant and mode, and of no other', async () => {
  const { cache, bumped } = start();
  await cache.get(live);
  await cache.changed(TX, { ...live, sandbox: true });
  expect(cache.get(live)).toBe('acme false 1');
  await cache.changed(TX, live);
  expect(await cache.get(live)).toBe('acme false 2');
  expect([...bumped.keys()]).toEqual(['rules:acme:test', 'rules:acme:live']);
});

it('gives out nothing kept while changes may go unseen', async () => {
  const { cache, state } = start();
  await cache.get(live);
  state.isFresh = false;
  expect(await cache.get(live)).toBe('acme false 2');
});
