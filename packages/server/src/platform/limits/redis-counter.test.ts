import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { onRedis, openTestSqlite } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { type LimitRule, meterOf } from './meters.js';
import { createRateLimiter } from './rate-limiter.js';
import type { SharedCounter } from './redis-allowance.js';
import { openRedisCounter } from './redis-counter.js';
import { migrations } from './tables.js';

const SCOPE: Scope = { tenantId: 'acme' as TenantId, sandbox: false };
const START_MS = Date.UTC(2026, 0, 15, 9, 30);

function rule(kind: LimitRule['kind'], requests: number, windowSec: number): LimitRule {
  return { scope: 'key', kind, requests, windowSec };
}

onRedis((url) => {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function open(at = url): Promise<{ counter: SharedCounter; logged: string[] }> {
    const logged: string[] = [];
    const log = (_fields: unknown, text?: string) => void logged.push(text ?? String(_fields));
    const counter = await openRedisCounter({
      url: new Secret(at),
      clock: systemClock,
      logger: { warn: log as never, info: log as never },
    });
    cleanups.push(() => counter.close());
    return { counter, logged };
  }

  it('counts as the meters do, whatever is asked and when', async () => {
    const { counter } = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          rule('bucket', 7, 60),
          rule('sliding', 7, 1),
          rule('sliding', 5, 86_400),
          rule('bucket', 0, 60),
        ),
        fc.array(fc.record({ gapMs: fc.nat(400), isTake: fc.integer({ min: 0, max: 3 }) }), {
          maxLength: 40,
        }),
        async (limit, steps) => {
          const name = randomUUID();
          const meter = meterOf(limit, []);
          let nowMs = START_MS;
          let taken = 0;
          for (const { gapMs, isTake } of steps) {
            nowMs += gapMs;
            if (isTake > 0) {
              const isAllowed = meter.take(nowMs, 1) === 1;
              if (isAllowed) taken++;
              expect(await counter.take(name, limit, nowMs)).toEqual({
                isAllowed,
                remaining: meter.remaining(nowMs),
                resetAtMs: expect.closeTo(meter.resetAtMs(nowMs), 2),
                retryAfterMs: expect.closeTo(meter.retryAfterMs(nowMs), 2),
              });
            } else if (taken > 0) {
              taken--;
              meter.giveBack(nowMs, 1);
              await counter.giveBack(name, limit, nowMs);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is exact over four processes', async () => {
    const clock = createManualClock();
    const limiters = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const db = await openTestSqlite(migrations, { clock });
        cleanups.push(() => db.cleanup());
        const { counter } = await open();
        return createRateLimiter({ db, clock, logger: { warn() {} }, counter });
      }),
    );
    const name = randomUUID();
    for (const kind of ['sliding', 'bucket'] as const) {
      const allowances = limiters.map((limiter) => limiter.allowance(SCOPE, name, rule(kind, 100, 3_600)));
      const taken = await Promise.all(
        allowances.flatMap((allowance) => Array.from({ length: 100 }, () => allowance.take())),
      );
      expect(taken.filter(({ isAllowed }) => isAllowed)).toHaveLength(100);
    }
  });

  /** A way to Redis that can be cut, or made silent. */
  async function startRelay() {
    const sockets = new Set<Socket>();
    let isSilent = false;
    const target = new URL(url);
    const relay = createServer((client) => {
      const server = connect(Number(target.port || 6379), target.hostname);
      for (const socket of [client, server]) {
        sockets.add(socket);
        socket
          .on('error', () => {})
          .on('close', () => {
            client.destroy();
            server.destroy();
          });
      }
      client.on('data', (data) => isSilent || server.write(data));
      server.on('data', (data) => client.write(data));
    });
    await once(relay.listen(0, '127.0.0.1'), 'listening');
    const { port } = relay.address() as AddressInfo;
    const cut = async () => {
      const closed = new Promise<void>((resolve) => relay.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    };
    cleanups.push(() => relay.listening && cut());
    const through = new URL(url);
    through.port = String(port);
    return {
      url: through.href,
      cut,
      silence: () => {
        isSilent = true;
      },
      async mend() {
        await once(relay.listen(port, '127.0.0.1'), 'listening');
      },
    };
  }

  async function limitedThrough(counter: SharedCounter, clock = createManualClock()) {
    const db = await openTestSqlite(migrations, { clock });
    cleanups.push(() => db.cleanup());
    const limiter = createRateLimiter({ db, clock, logger: { warn() {} }, counter });
    return limiter.allowance(SCOPE, randomUUID(), rule('sliding', 3, 3_600));
  }

  it('gone, leaves the limit to this process, and comes back by itself', async () => {
    const relay = await startRelay();
    const { counter, logged } = await open(relay.url);
    const clock = createManualClock();
    const allowance = await limitedThrough(counter, clock);
    const takeTen = async () => {
      const taken = [];
      for (let i = 0; i < 10; i++) taken.push((await allowance.take()).isAllowed);
      return taken.filter(Boolean).length;
    };
    for (let i = 0; i < 2; i++) expect((await allowance.take()).isAllowed).toBe(true);

    await relay.cut();
    // What Redis has let through counts on; a window later the limit is whole again.
    expect(await takeTen()).toBe(1);
    clock.advance(3_600_000);
    expect(await takeTen()).toBe(3);
    expect(logged).toContain('Redis does not answer: rate limits are counted in slices');

    await relay.mend();
    while (!counter.isUsable()) await new Promise((resolve) => setImmediate(resolve));
    expect(await takeTen()).toBe(3);
    expect(logged).toContain('Redis answers again');
  });

  it('silent, is not waited for by a second call', async () => {
    const relay = await startRelay();
    const { counter } = await open(relay.url);
    const allowance = await limitedThrough(counter);
    await allowance.take();
    relay.silence();
    expect((await allowance.take()).isAllowed).toBe(true);
    expect(counter.isUsable()).toBe(false);
    expect(allowance.take()).toMatchObject({ isAllowed: true });
  });

  it('is heard though the process was busy for longer than it waits', async () => {
    const { counter, logged } = await open();
    const limit = rule('sliding', 3, 3_600);
    const name = randomUUID();
    await counter.take(name, limit, START_MS);
    const taken = counter.take(name, limit, START_MS);
    // The command is on its way once this turn has ended; then nothing is read for longer than an answer may take.
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    expect(await taken).toMatchObject({ isAllowed: true, remaining: 1 });
    expect([counter.isUsable(), logged]).toEqual([true, []]);
  });

  it('absent at the start, does not keep the server from starting', async () => {
    const relay = await startRelay();
    await relay.cut();
    const { counter, logged } = await open(relay.url);
    expect(counter.isUsable()).toBe(false);
    expect(logged).toHaveLength(1);
    expect((await (await limitedThrough(counter)).take()).isAllowed).toBe(true);
  });
});
