import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newKeyPair } from '../../../platform/crypto/key-pairs.js';
import { type JobContext, LeaseLost } from '../../../platform/jobs/definition.js';
import type { OutboxEvent } from '../../../platform/outbox/store.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';

const DAY_MS = 86_400_000;
const EVENT = 'pki.certificate.expiring';

const aRun: JobContext = {
  id: 1,
  payload: {},
  attempt: 1,
  batchMax: 100,
  signal: new AbortController().signal,
  isStopping: () => false,
  fence: async () => {},
};

forEachDatabase((_name, open) => {
  let harness: Harness;
  let delivered: OutboxEvent[];
  beforeEach(async () => {
    harness = await createHarness({ open });
    delivered = [];
    harness.outbox.listen({
      name: 'probe',
      wants: (type) => type === EVENT,
      handle: async (event) => void delivered.push(event),
    });
  });
  afterEach(() => harness.close());

  const caller = (mode: 'live' | 'test' = 'live') => harness.callerOf(harness.tenant, mode);
  const tell = (more: Partial<JobContext> = {}) => harness.pki.notices.tell({ ...aRun, ...more });
  async function told(): Promise<Record<string, unknown>[]> {
    const dispatcher = harness.outbox.definitions().find(({ kind }) => kind === 'outbox_probe')!;
    await dispatcher.run(aRun);
    return delivered.splice(0).map(({ payload }) => payload);
  }
  /** What each of these days before its end tells. */
  async function toldAt(endMs: number, days: readonly number[]): Promise<unknown[]> {
    const all: unknown[] = [];
    for (const day of days) {
      harness.clock.advance(endMs - day * DAY_MS - harness.clock.nowMs());
      await tell();
      expect(await tell()).toEqual({ rows: 0 });
      all.push((await told()).map(({ days_before }) => days_before));
    }
    return all;
  }

  async function newRoot(name = 'corp', by = caller()) {
    const input = { name, subject: { CN: name }, keyAlgorithm: 'ecdsa-p256' } as const;
    const made = await harness.pki.roots.create(by, input);
    await harness.pki.roles.create(by, name, {
      name: 'web',
      allowedDomains: ['a.b', 'example.internal'],
      allowSubdomains: true,
      allowWildcards: false,
      allowIpSans: true,
      allowAcme: true,
      acmeRequireEab: true,
      maxTtlSeconds: (90 * DAY_MS) / 1_000,
      defaultTtlSeconds: (30 * DAY_MS) / 1_000,
      keyAlgorithm: 'ecdsa-p256',
    });
    return made;
  }
  const issue = (days: number, root = 'corp', by = caller()) =>
    harness.pki.certificates.issue(by, root, 'web', {
      subject: {},
      dns: ['a.b'],
      ips: [],
      ttlSeconds: (days * DAY_MS) / 1_000,
    });

  describe('the end of a certificate', () => {
    it('of a root is told of 30, 7 and 1 days before, each once', async () => {
      const { root } = await newRoot();
      await tell();
      const days = [31, 30, 29, 8, 7, 6, 2, 1, 0.5];
      expect(await toldAt(root.notAfterMs, days)).toEqual([[], [30], [], [], [7], [], [], [1], []]);
    });

    it('tells whose it is, and nothing of its key', async () => {
      const { root } = await newRoot('corp', caller('test'));
      await tell();
      harness.clock.advance(root.notAfterMs - 30 * DAY_MS - harness.clock.nowMs());
      await tell();
      const dispatcher = harness.outbox.definitions().find(({ kind }) => kind === 'outbox_probe')!;
      await dispatcher.run(aRun);
      expect(delivered.map(({ scope, type, key, payload }) => ({ scope, type, key, payload }))).toEqual([
        {
          scope: caller('test').principal.scope,
          type: EVENT,
          key: root.id,
          payload: {
            kind: 'root',
            root_id: root.id,
            root_name: 'corp',
            subject: 'CN=corp',
            not_after: expect.stringMatching(/Z$/),
            days_before: 30,
          },
        },
      ]);
    });

    it('of a client is told of too, and not once it is revoked', async () => {
      const { scope } = caller().principal;
      const made = await Promise.all(
        ['kept', 'gone'].map((name) => harness.clientCa.prepare(scope, { id: name, name })),
      );
      for (const one of made) await harness.db.transaction((tx) => one.record(tx));
      await tell();
      await harness.db.transaction((tx) =>
        harness.clientCa.revoke(tx, scope, [made[1]!.serial], 'superseded'),
      );
      harness.clock.advance(made[0]!.notAfterMs - 30 * DAY_MS - harness.clock.nowMs());
      await tell();
      expect(await told()).toEqual([
        expect.objectContaining({
          kind: 'client',
          client_id: 'kept',
          serial_hex: made[0]!.serial,
          root_name: '_clients',
          days_before: 30,
        }),
      ]);
      expect(await toldAt(made[0]!.notAfterMs, [7, 1])).toEqual([[7], [1]]);
    });

    it('of what a role has issued is told of where it lives twice as long as the notice is early', async () => {
      await newRoot();
      await tell();
      const never: number[] = [];
      for (const [life, days, notices] of [
        [30, [29, 7, 1], [never, [7], [1]]],
        [15, [14, 7, 1], [never, [7], [1]]],
        [13, [12, 7, 1], [never, never, [1]]],
        [1.5, [1.2, 1], [never, never]],
      ] as const) {
        const { certificate } = await issue(life);
        expect([life, await toldAt(certificate.notAfterMs, days)]).toEqual([life, notices]);
      }
    });

    it('of what an ACME client renews is none', async () => {
      const { root } = await newRoot();
      await tell();
      const { scope } = caller().principal;
      const prepared = await harness.authorities.prepareCertificate(scope, root.id, {
        subject: [],
        publicKey: (await newKeyPair('ecdsa-p256', 'test')).publicKey,
        purposes: ['server'],
        dns: ['a.b'],
        ips: [],
        uris: [],
        lifeMs: 30 * DAY_MS,
        acmeAccountId: 'account',
      });
      await harness.db.transaction((tx) => prepared.record(tx));
      expect(await toldAt(prepared.notAfterMs, [29, 7, 1])).toEqual([[], [], []]);
    });

    it('is told of late by a server that was away, in order, and not once it is over', async () => {
      const { root } = await newRoot();
      await newRoot('other', caller('test'));
      await tell();
      harness.clock.advance(root.notAfterMs - 2 * DAY_MS - harness.clock.nowMs());
      await tell();
      const days = (await told()).map(({ root_name, days_before }) => [root_name, days_before]);
      expect(days.sort()).toEqual([
        ['corp', 30],
        ['corp', 7],
        ['other', 30],
        ['other', 7],
      ]);
      harness.clock.advance(3 * DAY_MS);
      await tell();
      expect(await told()).toEqual([]);
    });

    it('is told of at once where it was near before anybody told', async () => {
      const { root } = await newRoot();
      harness.clock.advance(root.notAfterMs - 20 * DAY_MS - harness.clock.nowMs());
      await tell();
      expect((await told()).map(({ days_before }) => days_before)).toEqual([30]);
    });

    it('is not told of a root that is retired', async () => {
      const { root } = await newRoot();
      await tell();
      await harness.pki.roots.retire(caller(), 'corp');
      expect(await toldAt(root.notAfterMs, [30, 7, 1])).toEqual([[], [], []]);
    });

    it('is told of in batches, of many that end at the same time too, each once', async () => {
      await newRoot();
      await tell();
      const issued = [];
      for (let n = 0; n < 5; n += 1) issued.push((await issue(30)).certificate);
      const [first] = issued;
      harness.clock.advance(first!.notAfterMs - 7 * DAY_MS - harness.clock.nowMs());
      const rows = [];
      for (let n = 0; n < 4; n += 1) rows.push((await tell({ batchMax: 2 })).rows);
      const serials = (await told()).map(({ serial_hex }) => serial_hex);
      expect(serials.sort()).toEqual(issued.map(({ serial }) => serial).sort());
      expect(rows.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(5);
    });

    it('is told of once, although a run loses its lease', async () => {
      const { root } = await newRoot();
      await tell();
      harness.clock.advance(root.notAfterMs - 30 * DAY_MS - harness.clock.nowMs());
      const fence = async () => {
        throw new LeaseLost('pki_expiry_notices');
      };
      await expect(tell({ fence })).rejects.toThrow(LeaseLost);
      expect(await told()).toEqual([]);
      await tell();
      expect((await told()).map(({ days_before }) => days_before)).toEqual([30]);
    });
  });
});
