import { afterEach, expect, it } from 'vitest';
import type { DbConnectionId, TenantId } from '../../../kernel/ids.js';
import { createDynDbHarness, type DynDbHarness } from '../../../testing/dyn-db-harness.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { createPlaces } from './places.js';

const idOf = (index: number) => `connection-${index}` as DbConnectionId;
const forEver = () => new Promise<never>(() => {});
const LOGGED_IN = { session: {} as never, close: async () => {} };

it('those that did not answer have half of the places, and the next waits until one of them ends', async () => {
  const places = createPlaces({ clock: createManualClock() });
  let end = (_rows: number) => {};
  const first = new Promise<number>((resolve) => {
    end = resolve;
  });
  for (let index = 0; index < 18; index += 1) places.notHeard(idOf(index));
  const running = places.within(idOf(0), () => first);
  for (let index = 1; index < 16; index += 1) void places.within(idOf(index), forEver);
  expect(await places.within(idOf(16), async () => 1)).toBeUndefined();
  expect(await places.within(idOf(99), async () => 2)).toBe(2);
  places.heard(idOf(17));
  expect(await places.within(idOf(17), async () => 3)).toBe(3);
  end(4);
  expect(await running).toBe(4);
  expect(await places.within(idOf(16), async () => 5)).toBe(5);
});

it('a log-in that takes longer than a second is cut off where as many others wait', async () => {
  const clock = createManualClock();
  const places = createPlaces({ clock });
  const logIns = Array.from({ length: 17 }, (_, index) => {
    const state = { signal: undefined as AbortSignal | undefined, succeed: () => {} };
    const run = places.within(idOf(index), (logIn) =>
      logIn(
        (signal) =>
          new Promise((resolve, reject) => {
            state.signal = signal;
            state.succeed = () => resolve(LOGGED_IN);
            signal.addEventListener('abort', () => reject(new Error('cut off')));
          }),
      ),
    );
    return { state, run };
  });
  clock.advance(1_000);
  expect(logIns.map(({ state }) => state.signal?.aborted)).toEqual([...Array(16).fill(false), true]);
  await expect(logIns[16]?.run).rejects.toMatchObject({ type: 'dependency_unavailable' });
  logIns[0]?.state.succeed();
  expect(await logIns[0]?.run).toBe(LOGGED_IN);
});

it('a tenant has three quarters of the places, and waits longer where its databases are slow', async () => {
  const clock = createManualClock();
  const places = createPlaces({ clock });
  const [acme, other] = ['acme', 'other'] as TenantId[] as [TenantId, TenantId];
  const ends: (() => void)[] = [];
  const held = Array.from({ length: 24 }, () => {
    expect(places.waitMsOf(acme)).toBeNull();
    return places.hold(acme, () => new Promise<void>((resolve) => ends.push(resolve)));
  });
  expect(places.waitMsOf(acme)).toBe(250);
  expect(places.waitMsOf(other)).toBeNull();
  clock.advance(5_000);
  expect(places.waitMsOf(acme)).toBe(15_000);
  ends[0]?.();
  await held[0];
  expect(places.waitMsOf(acme)).toBeNull();
});

it('a run that fails holds no place any longer', async () => {
  const places = createPlaces({ clock: createManualClock() });
  const acme = 'acme' as TenantId;
  for (let run = 0; run < 25; run += 1)
    await expect(places.hold(acme, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(places.waitMsOf(acme)).toBeNull();
});

let harness: DynDbHarness;
afterEach(() => harness?.close());

it('forty databases that hang all at once do not keep the lease of another waiting', async () => {
  harness = await createDynDbHarness();
  const hanging = Array.from({ length: 40 }, (_, index) => `hanging-${index}`);
  for (const name of hanging) {
    await harness.connect(name);
    await harness.mint(name, { ttl_seconds: 60 });
    harness.databases.serverAt(`${name}.example.com`).hangs = true;
  }
  await harness.connect('orders');
  const { lease_id } = await harness.mint('orders', { ttl_seconds: 61 });
  await harness.jobs.idle();
  harness.clock.advance(60_500);
  const isOver = async () => {
    harness.clock.advance(500);
    return harness.statusOf(lease_id);
  };
  await expect.poll(isOver, { timeout: 20_000 }).toBe('expired');
  const stopped = harness.jobs.stop(1_000);
  harness.clock.advance(1_000);
  await stopped;
});

/** Lets time pass, although work is under way that does not end, until it is so; how much that was. */
async function passUntil(isSo: () => Promise<boolean>): Promise<number> {
  let passedMs = 0;
  while (!(await isSo())) {
    if (passedMs > 600_000) throw new Error('it never was so');
    passedMs += 250;
    harness.clock.advance(250);
    // What is written meanwhile has its turn first: else a slow disk is minutes of this clock.
    await harness.db.transaction(async () => undefined);
  }
  return passedMs;
}

const allEnded = async () => (await harness.ask('GET', '/leases')).json['data'].total === 0;

it('a drop that hangs is given up, and tried again', async () => {
  harness = await createDynDbHarness();
  await harness.connect('slow');
  await harness.mint('slow', { ttl_seconds: 60 });
  const server = harness.databases.serverAt('slow.example.com');
  server.isHanging = true;
  const [{ id }] = (await harness.ask('GET', '/leases')).json['data'].leases;
  const attempts = async () => (await harness.ask('GET', `/leases/${id}`)).json['data'].revoke_attempts;
  await passUntil(async () => (await attempts()) === 1);
  expect(await harness.statusOf(id)).toBe('active');
  server.isHanging = false;
  await passUntil(allEnded);
  expect(await harness.statusOf(id)).toBe('expired');
});
