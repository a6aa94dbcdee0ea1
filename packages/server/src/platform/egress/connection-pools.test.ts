import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createConnectionPools } from './connection-pools.js';

/** Never connected: pools are about who is kept, not about bytes. */
const start = () => {
  const clock = createManualClock();
  const pools = createConnectionPools(clock);
  const adopt = (key: string) => pools.adopt(key, 'https://api.example.com', new TLSSocket(new Socket()));
  return { clock, pools, adopt };
};

describe('connection pools', () => {
  it('give the most recently used connection, by key only', () => {
    const { pools, adopt } = start();
    const [first, second] = [adopt('a'), adopt('a')];
    pools.release(first);
    pools.release(second);
    expect(pools.takeIdle(['b'])).toBeNull();
    expect(pools.takeIdle(['b', 'a'])).toBe(second);
    expect(pools.takeIdle(['a'])).toBe(first);
    expect(pools.takeIdle(['a'])).toBeNull();
  });

  it('are at most 1,000; the least recently used goes, its busy connections when they come back', () => {
    const { pools, adopt } = start();
    const busy = adopt('busy');
    pools.release(adopt('idle'));
    for (let i = 2; i < LIMITS.upstreamPoolsMax; i++) pools.release(adopt(`k${i}`));
    expect(pools.size()).toBe(LIMITS.upstreamPoolsMax);
    const idle = pools.takeIdle(['idle'])!;
    pools.release(idle);
    adopt('one more');
    expect(pools.size()).toBe(LIMITS.upstreamPoolsMax);
    expect(busy.client.destroyed).toBe(false);
    pools.release(busy);
    expect(busy.client.destroyed).toBe(true);
    expect(pools.takeIdle(['busy'])).toBeNull();
    expect(pools.takeIdle(['idle'])).toBe(idle);
  });

  it('let go of a connection within 60 s of idleness, and of an empty pool after that', () => {
    const { clock, pools, adopt } = start();
    const [early, late] = [adopt('a'), adopt('a')];
    pools.release(early);
    clock.advance(20_000);
    pools.release(late);
    clock.advance(40_000);
    expect([early.client.destroyed, late.client.destroyed]).toEqual([true, false]);
    clock.advance(20_000);
    expect(late.client.destroyed).toBe(true);
    clock.advance(60_000);
    expect(pools.size()).toBe(0);
  });

  it('hear of the end of a connection that has served no call yet, and close it with its client', () => {
    const { pools, adopt } = start();
    const [lost, unused] = [adopt('a'), adopt('a')];
    expect(() => lost.socket.emit('error', new Error('read ECONNRESET'))).not.toThrow();
    pools.discard(unused);
    expect(unused.socket.destroyed).toBe(true);
  });

  it('keep at most 256 idle ones each', () => {
    const { pools, adopt } = start();
    const all = Array.from({ length: 257 }, () => adopt('a'));
    for (const connection of all) pools.release(connection);
    expect(all.filter(({ client }) => client.destroyed)).toHaveLength(1);
  });

  it('end everything when closed', async () => {
    const { pools, adopt } = start();
    const [idle, busy] = [adopt('a'), adopt('b')];
    pools.release(idle);
    await pools.close();
    expect([idle.client.destroyed, busy.client.destroyed, pools.size()]).toEqual([true, true, 0]);
  });
});
