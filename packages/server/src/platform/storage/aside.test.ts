import { describe, expect, it } from 'vitest';
import { createAside } from './aside.js';

function readsOf(aside = createAside()) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const read = (tenantId: string, name: string) =>
    aside.inTurn(tenantId, () => {
      started.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    });
  /** Ends the read that began first, and lets those behind it begin. */
  async function endOne(): Promise<void> {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { read, started, endOne };
}

describe('reads that are put aside', () => {
  it('run two at once, one of a tenant, so that a crowd of one tenant stands in nobody’s way', async () => {
    const { read, started, endOne } = readsOf();
    const all = ['a1', 'a2', 'a3'].map((name) => read('a', name));
    all.push(read('b', 'b1'), read('c', 'c1'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).toEqual(['a1', 'b1']);
    await endOne();
    expect(started).toEqual(['a1', 'b1', 'c1']);
    await endOne();
    await endOne();
    expect(started).toEqual(['a1', 'b1', 'c1', 'a2']);
    await endOne();
    await endOne();
    expect(await Promise.all(all)).toEqual(['a1', 'a2', 'a3', 'b1', 'c1']);
  });

  it('are refused above 250 that wait of one tenant, and taken again when those are done', async () => {
    const { read, endOne } = readsOf();
    const waiting = Array.from({ length: 251 }, (_, n) => read('a', String(n)));
    await expect(read('a', 'too many')).rejects.toMatchObject({ type: 'dependency_unavailable' });
    for (let n = 0; n < 251; n++) await endOne();
    await Promise.all(waiting);
    const again = read('a', 'again');
    await endOne();
    expect(await again).toBe('again');
  });
});
