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

it('reads one at a time however often a change is committed, and nobody is given what was before theirs', async () => {
  const bumped = { now: 0 };
  const reads: { seen: number; finish: () => void }[] = [];
  const cache = createScopeCache({
    name: 'rules',
    generations: {
      bump: async () => void bumped.now++,
      current: () => bumped.now,
      isFresh: () => true,
    },
    load: () =>
      new Promise<number>((resolve) => {
        const seen = bumped.now;
        reads.push({ seen, finish: () => resolve(seen) });
      }),
  });
  const answers = [cache.get(live)];
  for (let change = 1; change <= 20; change++) {
    await cache.changed(TX, live);
    answers.push(cache.get(live));
  }
  expect(reads).toHaveLength(1);
  reads[0]!.finish();
  await expect.poll(() => reads.length).toBe(2);
  reads[1]!.finish();
  const values = await Promise.all(answers);
  expect(values[0]).toBe(0);
  expect(values.slice(1)).toEqual(Array(20).fill(20));
  expect(reads).toHaveLength(2);
  expect(cache.get(live)).toBe(20);
});

it('reads again after a read that failed, also for who waited behind it', async () => {
  const state = { reads: 0, generation: 0 };
  const cache = createScopeCache({
    name: 'rules',
    generations: {
      bump: async () => void state.generation++,
      current: () => state.generation,
      isFresh: () => true,
    },
    load: async () => {
      if (++state.reads === 1) throw new Error('no database');
      return state.reads;
    },
  });
  const failing = Promise.resolve(cache.get(live));
  await Promise.all([
    expect(failing).rejects.toThrow('no database'),
    cache.changed(TX, live).then(async () => expect(await cache.get(live)).toBe(2)),
  ]);
  expect(cache.get(live)).toBe(2);
});
