import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { type EnvelopePlace, envelopeVersion } from '../../../platform/crypto/envelope-cipher.js';
import type { OpenTestDatabase } from '../../../testing/databases.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import {
  createRewrapRig,
  firstOf,
  OTHER_TENANT,
  paperOf,
  REWRAP_TENANT,
  type RewrapRig,
  secondOf,
} from '../../../testing/rewrap-rig.js';
import type { Kms } from '../service.js';
import { kmsTables } from '../tables.js';

const DAY_MS = 24 * 3_600_000;
/** Until the last sweep. */
const SETTLE_MS = 6_000;

export function rewrapContract(open: OpenTestDatabase): void {
  let rig: RewrapRig;
  beforeEach(async () => {
    rig = await createRewrapRig(open);
  });
  afterEach(() => rig.close());

  const progress = (tenantId: TenantId = REWRAP_TENANT) => rig.rewraps.progress(tenantId);
  const text = async (place: EnvelopePlace) => {
    const envelope = await rig.envelope(place);
    return envelope && (await rig.kms.open(place, envelope)).toString();
  };
  const version = async (place: EnvelopePlace) => {
    const envelope = await rig.envelope(place);
    return envelope && envelopeVersion(envelope);
  };
  const addThings = async (count: number) => {
    for (let index = 0; index < count; index += 1) await rig.addThing(`thing-${index}`);
  };

  it('brings every column, mode and row of the tenant under the new version, and nothing of another tenant', async () => {
    await addThings(120);
    await rig.addThing('sandboxed', REWRAP_TENANT, 'test');
    await rig.addThing('foreign', OTHER_TENANT);
    await rig.addPaper('paper');
    await rig.setEnvelope(secondOf('thing-7'), null);
    const leaseId = await rig.rotate();
    await rig.advance(SETTLE_MS);
    expect(await progress()).toMatchObject({
      leaseId,
      targetVersion: 2,
      status: 'completed',
      // Two of each thing but for the one that has none, and the paper.
      rowsTotal: 120 * 2 - 1 + 2 + 1,
      rowsDone: 120 * 2 - 1 + 2 + 1,
      rowsFailed: 0,
      lastError: null,
      finishedAtMs: rig.clock.nowMs() - 1_000,
    });
    for (const place of [
      firstOf('thing-0'),
      secondOf('thing-119'),
      firstOf('sandboxed', REWRAP_TENANT, 'test'),
      paperOf('paper'),
    ]) {
      expect(await version(place)).toBe(2);
      expect(await text(place)).toBe(`secret of ${place.rowId}`);
    }
    expect(await rig.envelope(secondOf('thing-7'))).toBeNull();
    expect(await version(firstOf('foreign', OTHER_TENANT))).toBe(1);
    expect(await progress(OTHER_TENANT)).toBeUndefined();
  });

  it('ends at once where there is nothing, and leaves alone what is of the new version', async () => {
    await rig.kms.rotate(REWRAP_TENANT);
    await rig.addThing('new');
    const before = await rig.envelope(firstOf('new'));
    await rig.db.transaction((tx) => rig.rewraps.issue(tx, REWRAP_TENANT, 2));
    await rig.advance(SETTLE_MS);
    expect(await progress()).toMatchObject({ status: 'completed', rowsTotal: 0, rowsDone: 0 });
    expect(await rig.envelope(firstOf('new'))).toEqual(before);
  });

  it('never goes back from a version that is newer than its target', async () => {
    await rig.kms.rotate(REWRAP_TENANT);
    await rig.kms.rotate(REWRAP_TENANT);
    await rig.addThing('newer');
    await rig.db.transaction((tx) => rig.rewraps.issue(tx, REWRAP_TENANT, 2));
    await rig.advance(SETTLE_MS);
    expect(await version(firstOf('newer'))).toBe(3);
  });

  it('finds what was sealed under the former version before the rotation and stored after it', async () => {
    await addThings(3);
    const late = await rig.kms.seal(firstOf('thing-0'), Buffer.from('late'));
    await rig.rotate();
    await rig.advance(1_000);
    expect(await version(firstOf('thing-0'))).toBe(2);
    await rig.setEnvelope(firstOf('thing-0'), late);
    await rig.advance(SETTLE_MS);
    expect(await version(firstOf('thing-0'))).toBe(2);
    expect(await text(firstOf('thing-0'))).toBe('late');
    expect(await progress()).toMatchObject({ status: 'completed', rowsTotal: 7, rowsDone: 7 });
  });

  it('passes over what was wiped, records what does not open, and comes back to it', async () => {
    await addThings(3);
    const good = await rig.envelope(firstOf('thing-1'));
    await rig.setEnvelope(firstOf('thing-0'), Buffer.alloc(100));
    const broken = Buffer.from(good ?? []);
    broken[60] = broken[60]! ^ 1;
    await rig.setEnvelope(firstOf('thing-1'), broken);
    await rig.setEnvelope(secondOf('thing-1'), Buffer.from('no envelope'));
    await rig.rotate();
    await rig.advance(SETTLE_MS);
    expect(await progress()).toMatchObject({
      status: 'failed',
      rowsDone: 3,
      rowsFailed: 2,
      lastError: 'things.second_envelope:live thing-1: is no envelope',
    });
    expect(await rig.envelope(firstOf('thing-1'))).toEqual(broken);
    expect(await version(firstOf('thing-2'))).toBe(2);
    await rig.setEnvelope(firstOf('thing-1'), good);
    await rig.setEnvelope(secondOf('thing-1'), null);
    await rig.jobs.runNow('tenant_rewrap');
    await rig.advance(SETTLE_MS);
    expect(await progress()).toMatchObject({ status: 'completed', rowsFailed: 0, lastError: null });
    expect(await text(firstOf('thing-1'))).toBe('secret of thing-1');
    expect(rig.logLines.join()).not.toContain('secret of');
  });

  it('tries again by itself a day after it has failed', async () => {
    await rig.addPaper('paper');
    const good = await rig.envelope(paperOf('paper'));
    await rig.setEnvelope(paperOf('paper'), Buffer.from('no envelope'));
    await rig.rotate();
    await rig.advance(SETTLE_MS);
    expect((await progress())?.status).toBe('failed');
    await rig.setEnvelope(paperOf('paper'), good);
    rig.clock.advance(DAY_MS);
    await rig.advance(SETTLE_MS);
    expect((await progress())?.status).toBe('completed');
  });

  describe('rotations', () => {
    it('gives a pass under way the newer target, and no second pass beside it', async () => {
      await addThings(3);
      const leaseId = await rig.rotate();
      expect(await rig.rotate()).toBe(leaseId);
      await rig.advance(SETTLE_MS);
      expect(await progress()).toMatchObject({ leaseId, targetVersion: 3, status: 'completed', rowsDone: 6 });
      expect(await version(secondOf('thing-2'))).toBe(3);
      expect(await rig.jobs.jobsOf('tenant_rewrap', 10)).toHaveLength(1);
      expect(await rig.rotate()).not.toBe(leaseId);
    });

    it('that overtake a batch have it begin anew', async () => {
      await addThings(3);
      let rotated: Promise<number> | null = null;
      await rig.jobs.stop(0);
      await rig.startProcess((kms) => ({
        async reseal(place, envelope, target) {
          rotated ??= rig.rotate();
          await rotated;
          return kms.reseal(place, envelope, target);
        },
      }));
      const leaseId = await rig.rotate();
      await rig.advance(SETTLE_MS);
      expect(await rotated).toBe(leaseId);
      expect(await progress()).toMatchObject({ leaseId, targetVersion: 3, status: 'completed' });
      for (const id of ['thing-0', 'thing-1', 'thing-2']) expect(await version(firstOf(id))).toBe(3);
    });

    it('at once end in one pass to the newest', async () => {
      await addThings(3);
      const leases = await Promise.all([rig.rotate(), rig.rotate(), rig.rotate()]);
      await rig.advance(SETTLE_MS);
      expect(new Set(leases).size).toBe(1);
      expect(await progress()).toMatchObject({ status: 'completed', rowsFailed: 0 });
      const target = (await progress())?.targetVersion ?? 0;
      expect(await version(firstOf('thing-1'))).toBeGreaterThanOrEqual(target);
      expect(await text(firstOf('thing-1'))).toBe('secret of thing-1');
    });
  });

  it('lets a write win that comes between its reading and its replacing', async () => {
    await addThings(3);
    await rig.jobs.stop(0);
    await rig.startProcess((kms) => ({
      async reseal(place, envelope, target) {
        if (place.rowId === 'thing-1')
          await rig.setEnvelope(place, await kms.seal(place, Buffer.from('written meanwhile')));
        return kms.reseal(place, envelope, target);
      },
    }));
    await rig.rotate();
    await rig.advance(SETTLE_MS);
    expect(await text(firstOf('thing-1'))).toBe('written meanwhile');
    expect(await text(secondOf('thing-1'))).toBe('written meanwhile');
    expect(await progress()).toMatchObject({ status: 'completed', rowsDone: 4, rowsFailed: 0 });
  });

  it('goes on where a process died in the middle of a batch, whose result then counts no more', async () => {
    await addThings(3);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await rig.jobs.stop(0);
    // What has died renews no lease.
    const itsClock = createManualClock(rig.clock.nowMs());
    const dying = await rig.startProcess(
      (kms) => ({
        async reseal(place, envelope, target) {
          const resealed = await kms.reseal(place, envelope, target);
          if (place.column === 'second_envelope') await held;
          return resealed;
        },
      }),
      itsClock,
    );
    await rig.rotate();
    itsClock.advance(1_000);
    await untilTrue(async () => (await progress())?.rowsDone === 3);
    await rig.startProcess();
    await rig.advance(SETTLE_MS + 10_000);
    expect((await progress())?.status).toBe('completed');
    release();
    await dying.jobs.stop(1_000);
    expect(rig.logLines.join()).toContain('a job was lost to another worker');
    expect(await progress()).toMatchObject({ status: 'completed', rowsTotal: 6, rowsDone: 6 });
    for (const id of ['thing-0', 'thing-1', 'thing-2']) {
      expect(await text(secondOf(id))).toBe(`secret of ${id}`);
      expect(await version(secondOf(id))).toBe(2);
    }
  });

  describe('without a key', () => {
    /** A process that finds these versions sealed. */
    async function withLost(lost: Set<number>): Promise<void> {
      await rig.jobs.stop(0);
      const fault = (versionNumber: number) =>
        lost.has(versionNumber) ? `customer_kms does not open master key version ${versionNumber}` : null;
      await rig.startProcess((kms: Kms) => ({
        faultOf: async (tenantId, versionNumber) =>
          fault(versionNumber) ?? (await kms.faultOf(tenantId, versionNumber)),
      }));
    }

    it('waits, harms no row, and goes on 30 s after it is back', async () => {
      const lost = new Set([1, 2]);
      await addThings(3);
      await withLost(lost);
      const leaseId = await rig.rotate();
      await rig.advance(SETTLE_MS);
      expect(await progress()).toMatchObject({
        leaseId,
        status: 'pending',
        rowsDone: 0,
        rowsFailed: 0,
        lastError: 'customer_kms does not open master key version 2',
      });
      lost.clear();
      await rig.advance(31_000);
      expect(await progress()).toMatchObject({ leaseId, status: 'completed', rowsDone: 6, lastError: null });
    });

    it('that only a former version needs, goes on with the others where another key wrapped that one', async () => {
      await rig.addThing('under-1');
      await rig.kms.rotate(REWRAP_TENANT);
      await rig.addThing('under-2');
      await rig.db
        .view(kmsTables)
        .scoped({ tenantId: REWRAP_TENANT })
        .updateTable('tenant_master_keys')
        .set({ kms_key: 'a key that was lost' })
        .where('version', '=', 1)
        .execute();
      const lost = new Set([1]);
      await withLost(lost);
      await rig.rotate();
      await rig.advance(SETTLE_MS);
      expect(await progress()).toMatchObject({
        status: 'failed',
        rowsDone: 2,
        rowsFailed: 2,
        lastError: 'things.second_envelope:live under-1: customer_kms does not open master key version 1',
      });
      lost.clear();
      rig.clock.advance(3_600_000);
      await rig.advance(SETTLE_MS);
      expect(await progress()).toMatchObject({ status: 'completed', rowsDone: 4, rowsFailed: 0 });
    });

    it('that was revoked, tells so and waits for nothing', async () => {
      await rig.addThing('under-1');
      await rig.kms.rotate(REWRAP_TENANT);
      await rig.db
        .view(kmsTables)
        .scoped({ tenantId: REWRAP_TENANT })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .where('version', '=', 1)
        .execute();
      await rig.jobs.stop(0);
      await rig.startProcess();
      await rig.rotate();
      await rig.advance(SETTLE_MS);
      expect(await progress()).toMatchObject({
        status: 'failed',
        rowsFailed: 2,
        lastError: 'things.second_envelope:live under-1: master key version 1 is revoked',
      });
    });
  });
}

/** The work goes on in turns of the event loop; a bounded number of them. */
async function untilTrue(isTrue: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 5_000; turn += 1) {
    if (await isTrue()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('it did not come true');
}
