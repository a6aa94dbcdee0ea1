import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ApiKeyId, TenantId } from '../../../kernel/ids.js';
import type { Actor } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { openDatabase } from '../../../platform/storage/open-database.js';
import { changeBehind, type OpenTestDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../../testing/manual-clock.js';
import { commitHook } from '../commit-hook.js';
import { auditLogsMigration } from '../migrations/0006-audit-logs.js';
import { type AuditLogs, createAuditLogs } from '../service.js';
import { auditTables, migrations } from '../tables.js';
import { auditRowHash, criticalRowHash } from './row-hash.mjs';
import { type AuditChain, type AuditChainDeps, createAuditChain } from './service.js';
import { createAuditVerification, type TenantVerification } from './verification.js';

const DAY_MS = 86_400_000;
const ROOT_KEY = new Secret(Buffer.alloc(32, 1));
const OTHER_ROOT_KEY = new Secret(Buffer.alloc(32, 2));

export function auditChainContract(open: OpenTestDatabase): void {
  let clock: ManualClock;
  let db: TestDatabase;
  let logs: AuditLogs;
  let chain: AuditChain;
  const logged: { fields: Record<string, unknown>; message: string }[] = [];
  const logger = {
    info: (fields: Record<string, unknown>, message: string) => logged.push({ fields, message }),
    warn: () => {},
    error: (fields: Record<string, unknown>, message: string) => logged.push({ fields, message }),
  } as unknown as AuditChainDeps['logger'] & { warn(): void };

  const chainOf = (deps: Partial<AuditChainDeps> = {}) =>
    createAuditChain({ db, clock, logger, rootKey: ROOT_KEY, retentionMs: 365 * DAY_MS, ...deps });

  beforeEach(async () => {
    clock = createManualClock();
    logged.length = 0;
    db = await open(migrations, { clock, logger, commitHook });
    logs = createAuditLogs({ db, clock, ids: systemIds });
    chain = chainOf();
  });
  afterEach(() => db.cleanup());

  const actor = (tenant: string): Actor => ({
    scope: { tenantId: tenant as TenantId, sandbox: false },
    apiKeyId: 'key-1' as ApiKeyId,
    userId: null,
    requestId: null,
    ip: null,
  });
  const entry = (name: string, action = 'vault.detokenize') => ({
    action,
    resourceType: 'vault',
    resourceId: name,
    details: { name },
  });

  /** Half in group commits, half in transactions, as they are written in life. */
  async function write(tenant: string, count: number): Promise<void> {
    for (let n = 1; n <= count; n++) {
      if (n % 2) await db.commitInserts([logs.insertion(actor(tenant), entry(`r${n}`))]);
      else await db.transaction((tx) => logs.record(tx, actor(tenant), entry(`r${n}`, 'vault.create')));
    }
  }

  /** What the clock sets off runs on the real event loop, to the database and back: a bounded number of turns. */
  async function within(ms: number, isDone: () => boolean | Promise<boolean>): Promise<boolean> {
    for (let turn = 0, left = ms; turn < 2_000; turn++) {
      if (await isDone()) return true;
      const step = turn % 20 === 19 ? Math.min(left, ms / 25) : 0;
      left -= step;
      clock.advance(step);
      await db.ping();
    }
    return false;
  }

  async function seal(): Promise<void> {
    while ((await chain.sealPending()) > 0);
  }

  async function written(tenant: string, count: number): Promise<void> {
    await write(tenant, count);
    await seal();
  }

  const verify = (tenant: string, from?: number, to?: number): Promise<TenantVerification> =>
    chain.verify(tenant as TenantId, { from, to });
  const behind = (...statements: string[]) => changeBehind(db.storage, ...statements);
  const bytes = (hash: Buffer) =>
    db.dialect === 'sqlite' ? `x'${hash.toString('hex')}'` : `'\\x${hash.toString('hex')}'`;

  /** What someone does who can write the database and knows the layout, but has no root key. */
  async function recomputeFrom(tenant: string, first: number): Promise<void> {
    const view = db.view(auditTables);
    const rows = await view
      .scoped({ tenantId: tenant as TenantId })
      .selectFrom('audit_chain as c')
      .innerJoin('audit_logs as a', 'a.id', 'c.audit_id')
      .selectAll(['a'])
      .select(['c.sequence_number', 'c.prev_hash'])
      .where('c.sequence_number', '>=', first)
      .orderBy('c.sequence_number')
      .execute();
    let prev = rows[0]!.prev_hash;
    const statements = rows.map((row) => {
      const hash = auditRowHash(prev, row.sequence_number, row);
      const set = `UPDATE audit_chain SET prev_hash = ${bytes(prev)}, row_hash = ${bytes(hash)}`;
      prev = hash;
      return `${set} WHERE tenant_id = '${tenant}' AND sequence_number = ${row.sequence_number}`;
    });
    const head = `UPDATE audit_chain_heads SET row_hash = ${bytes(prev)} WHERE tenant_id = '${tenant}'`;
    await behind(...statements, head);
  }

  describe('sealing', () => {
    it('numbers the rows of each tenant without a gap and they verify', async () => {
      await Promise.all([write('t1', 9), write('t2', 4)]);
      await seal();
      expect(await verify('t1')).toMatchObject({ checked: 9, firstBad: null, unsealedTail: 0 });
      expect((await verify('t1')).head.sequenceNumber).toBe(9);
      expect(await verify('t2')).toMatchObject({ checked: 4, firstBad: null });
      expect(await verify('t3')).toMatchObject({ checked: 0, firstBad: null, unsealedTail: 0 });
    });

    it('seals a batch of many tenants and the rows of one transaction in their order', async () => {
      await db.commitInserts(
        Array.from({ length: 60 }, (_, n) => logs.insertion(actor(`t${n % 3}`), entry(`n${n}`))),
      );
      await db.transaction(async (tx) => {
        for (const name of ['a', 'b', 'c']) await logs.record(tx, actor('t0'), entry(name));
      });
      await seal();
      const page = await chain.events('t0' as TenantId, {}, undefined, 100);
      expect(page.rows.map((row) => row.resourceId).slice(-3)).toEqual(['a', 'b', 'c']);
      expect(page.rows.map((row) => row.sequenceNumber)).toEqual(Array.from({ length: 23 }, (_, n) => n + 1));
      expect(await verify('t0')).toMatchObject({ checked: 23, firstBad: null });
    });

    it('of what was rolled back nothing is sealed', async () => {
      await written('t1', 2);
      await db
        .transaction(async (tx) => {
          await logs.record(tx, actor('t1'), entry('no'));
          throw new Error('no');
        })
        .catch(() => {});
      const twice = logs.insertion(actor('t1'), entry('twice'));
      const outcomes = await Promise.allSettled([
        db.commitInserts([twice]),
        db.commitInserts([logs.insertion(actor('t1'), entry('beside')), twice]),
        db.commitInserts([logs.insertion(actor('t1'), entry('good'))]),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      await seal();
      const page = await chain.events('t1' as TenantId, {}, undefined, 100);
      expect(page.rows.map((row) => row.resourceId)).toEqual(['r1', 'r2', 'twice', 'good']);
      expect(await verify('t1')).toMatchObject({ checked: 4, firstBad: null });
    });

    it('an unsealed tail is counted and is no alarm', async () => {
      await written('t1', 3);
      await behind(
        `INSERT INTO audit_unsealed (tenant_id, audit_id) VALUES ('t1', '00000000-0000-4000-8000-000000000001')`,
      );
      expect(await verify('t1')).toMatchObject({ checked: 3, firstBad: null, unsealedTail: 1 });
    });

    it('goes on by itself after the start, and is woken by a write', async () => {
      await chain.start();
      try {
        const waking = createAuditLogs({ db, clock, ids: systemIds, onWrite: chain.wake });
        const isSealed = (count: number) => async () => (await verify('t1')).checked === count;
        await db.transaction((tx) => waking.record(tx, actor('t1'), entry('r1')));
        expect(await within(250, isSealed(1))).toBe(true);
        // Of a write in another process nothing is heard.
        await db.commitInserts([logs.insertion(actor('t1'), entry('r2'))]);
        expect(await within(250, isSealed(2))).toBe(true);
      } finally {
        await chain.stop();
      }
    });

    it('a chain that cannot be continued stops no write, and is told', async () => {
      await written('t1', 2);
      await behind(`UPDATE audit_chain_heads SET sequence_number = 1`);
      await write('t1', 2);
      await seal().catch((error) => logger.error({ err: error }, 'not sealed'));
      expect(logged.map(({ message }) => message)).toEqual([
        expect.stringMatching(/a commit hook failed|not sealed/),
      ]);
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 1 }, unsealedTail: 2 });
      await write('t2', 1);
    });

    it('what waits is counted for the metrics, and the count falls to 0 once all is sealed', async () => {
      await written('t1', 2);
      await behind(`UPDATE audit_chain_heads SET sequence_number = 1`);
      await write('t1', 3);
      await chain.start();
      try {
        expect(await within(2_000, () => chain.unsealedRows() === 3)).toBe(true);
        // Its pass ends, and none begins before the clock goes on.
        for (let turn = 0; turn < 100; turn++) await db.ping();
        await behind(`UPDATE audit_chain_heads SET sequence_number = 2`);
        // On SQLite sealing that has failed is tried again after a hundred commits.
        await within(2_000, async () => (await chain.sealPending()) > 0);
        expect(await within(2_000, () => chain.unsealedRows() === 0)).toBe(true);
      } finally {
        await chain.stop();
      }
      expect(await verify('t1')).toMatchObject({ checked: 5, unsealedTail: 0, firstBad: null });
    });

    it('is done by one of several processes at a time', async () => {
      const { cleanup: _, storage } = db;
      const other = await openDatabase(storage, { migrations, clock }).catch(() => null);
      if (db.dialect === 'sqlite' || !other) return other?.close();
      const otherChain = createAuditChain({
        db: other,
        clock,
        logger,
        rootKey: ROOT_KEY,
        retentionMs: null,
      });
      const otherLogs = createAuditLogs({ db: other, clock, ids: systemIds });
      try {
        const writes = Array.from({ length: 200 }, (_unused, n) =>
          (n % 2 ? db : other).commitInserts([
            (n % 2 ? logs : otherLogs).insertion(actor(`t${n % 3}`), entry(`${n}`)),
          ]),
        );
        const passes = Array.from({ length: 40 }, (_unused, n) =>
          (n % 2 ? chain : otherChain).sealPending(7),
        );
        await Promise.all([...writes, ...passes]);
        await seal();
        for (const tenant of ['t0', 't1', 't2'])
          expect(await verify(tenant)).toMatchObject({ firstBad: null, unsealedTail: 0 });
        const counts = await Promise.all(['t0', 't1', 't2'].map(async (t) => (await verify(t)).checked));
        expect(counts.reduce((a, b) => a + b)).toBe(200);
      } finally {
        await other.close();
      }
    });
  });

  describe('found', () => {
    beforeEach(() => written('t1', 10));
    const auditIdAt = (n: number) =>
      `(SELECT audit_id FROM audit_chain WHERE tenant_id = 't1' AND sequence_number = ${n})`;

    it.each(['details', 'action', 'resource_id', 'ip_address', 'verb'])(
      'a row changed in %s',
      async (column) => {
        await behind(
          `UPDATE audit_logs SET ${column} = '{}' WHERE tenant_id = 't1' AND id = ${auditIdAt(4)}`,
        );
        expect(await verify('t1')).toMatchObject({ checked: 3, firstBad: { sequenceNumber: 4 } });
      },
    );

    it('a row moved in time', async () => {
      await behind(`UPDATE audit_logs SET created_at = created_at - 1 WHERE id = ${auditIdAt(10)}`);
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 10 } });
    });

    it('a removed row', async () => {
      await behind(`DELETE FROM audit_logs WHERE tenant_id = 't1' AND id = ${auditIdAt(5)}`);
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 5 } });
    });

    it('a row removed from the chain as well', async () => {
      await behind(
        `DELETE FROM audit_logs WHERE tenant_id = 't1' AND id = ${auditIdAt(5)}`,
        `DELETE FROM audit_chain WHERE tenant_id = 't1' AND sequence_number = 5`,
      );
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 5 } });
    });

    it('the first rows removed without a trimming checkpoint', async () => {
      await chain.writeCheckpoints();
      await behind(`DELETE FROM audit_chain WHERE tenant_id = 't1' AND sequence_number <= 3`);
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 1 } });
    });

    const CUT = [
      `DELETE FROM audit_logs WHERE tenant_id = 't1' AND id IN (SELECT audit_id FROM audit_chain WHERE sequence_number > 7)`,
      `DELETE FROM audit_chain WHERE tenant_id = 't1' AND sequence_number > 7`,
    ];

    it('a removed tail', async () => {
      await behind(...CUT);
      expect(await verify('t1')).toMatchObject({ checked: 7, firstBad: { sequenceNumber: 8 } });
    });

    it('a removed tail with the head set back, by the checkpoint', async () => {
      await chain.writeCheckpoints();
      await behind(
        ...CUT,
        `UPDATE audit_chain_heads SET sequence_number = 7, row_hash =
          (SELECT row_hash FROM audit_chain WHERE tenant_id = 't1' AND sequence_number = 7) WHERE tenant_id = 't1'`,
      );
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 8 } });
      // Rows that follow do not heal it.
      await written('t1', 5);
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 10 } });
    });

    it('everything removed but the checkpoint', async () => {
      await chain.writeCheckpoints();
      await behind('DELETE FROM audit_chain', 'DELETE FROM audit_logs', 'DELETE FROM audit_chain_heads');
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 1 } });
    });

    it('a changed row with every later hash recomputed, by the next checkpoint', async () => {
      await chain.writeCheckpoints();
      await written('t1', 3);
      await behind(`UPDATE audit_logs SET details = '{}' WHERE tenant_id = 't1' AND id = ${auditIdAt(4)}`);
      await recomputeFrom('t1', 4);
      expect(await verify('t1')).toMatchObject({ checked: 9, firstBad: { sequenceNumber: 10 } });
    });

    it('the same with the checkpoint rewritten, or signed by a key of the intruder', async () => {
      await chain.start();
      await chain.stop();
      await chain.writeCheckpoints();
      await behind(`UPDATE audit_logs SET details = '{}' WHERE tenant_id = 't1' AND id = ${auditIdAt(4)}`);
      await recomputeFrom('t1', 4);
      await behind(
        `UPDATE audit_checkpoints SET row_hash = (SELECT row_hash FROM audit_chain WHERE sequence_number = 10)`,
      );
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 10 } });
      await behind(
        'DELETE FROM audit_checkpoints',
        'UPDATE audit_chain_heads SET checkpoint_sequence = 0, checkpoint_at = 0',
      );
      const intruder = chainOf({ rootKey: OTHER_ROOT_KEY });
      await intruder.start();
      await intruder.stop();
      await intruder.writeCheckpoints();
      expect(await verify('t1')).toMatchObject({ firstBad: { sequenceNumber: 10 } });
    });

    it('only where it is looked for', async () => {
      await behind(`UPDATE audit_logs SET details = '{}' WHERE tenant_id = 't1' AND id = ${auditIdAt(4)}`);
      expect(await verify('t1', 5)).toMatchObject({ checked: 6, firstBad: null });
      expect(await verify('t1', 1, 3)).toMatchObject({ checked: 3, firstBad: null });
      expect(await verify('t1', 3, 5)).toMatchObject({ checked: 1, firstBad: { sequenceNumber: 4 } });
      expect(await verify('t1', 11, 20)).toMatchObject({ checked: 0, firstBad: null });
      expect(await verify('t2')).toMatchObject({ firstBad: null });
    });
  });

  describe('checkpoints', () => {
    it('are written a minute apart, or after 10,000 rows, and stand in the log', async () => {
      await written('t1', 2);
      expect(await chain.writeCheckpoints()).toBe(1);
      expect(await chain.writeCheckpoints()).toBe(0);
      await written('t1', 1);
      expect(await chain.writeCheckpoints()).toBe(0);
      clock.advance(60_000);
      expect(await chain.writeCheckpoints()).toBe(1);
      for (let n = 0; n < 10; n++) {
        const rows = Array.from({ length: 1_000 }, () => logs.insertion(actor('t1'), entry('many')));
        await db.commitInserts(rows);
      }
      await seal();
      expect(await chain.writeCheckpoints()).toBe(1);
      const fields = logged
        .filter(({ message }) => message === 'audit checkpoint')
        .map((line) => line.fields);
      expect(
        fields.map((line) => (line['checkpoint'] as Record<string, unknown>)['sequence_number']),
      ).toEqual([2, 3, 10_003]);
      expect(fields[0]?.['checkpoint']).toMatchObject({
        at: '2026-01-15T09:30:00.000Z',
        kind: 'checkpoint',
        tenant: 't1',
        row_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        signature: expect.any(String),
      });
      expect(await verify('t1')).toMatchObject({ checked: 10_003, firstBad: null });
    });

    it('outlive a change of the root key that was told of the former one', async () => {
      await chain.start();
      await chain.stop();
      await written('t1', 3);
      await chain.writeCheckpoints();
      const next = chainOf({ rootKey: OTHER_ROOT_KEY, previousRootKey: ROOT_KEY });
      const range = {};
      expect((await next.verify('t1' as TenantId, range)).firstBad).toMatchObject({ sequenceNumber: 3 });
      await next.start();
      await next.stop();
      expect((await next.verify('t1' as TenantId, range)).firstBad).toBeNull();
      // And one more change: the endorsement of the first key leads over the second.
      const third = chainOf({ rootKey: new Secret(Buffer.alloc(32, 3)), previousRootKey: OTHER_ROOT_KEY });
      await third.start();
      await third.stop();
      expect((await third.verify('t1' as TenantId, range)).firstBad).toBeNull();
    });
  });

  describe('retention', () => {
    it('trims from the old end in batches, and what is left verifies', async () => {
      await db.commitInserts(
        Array.from({ length: 1_200 }, (_, n) => logs.insertion(actor('t1'), entry(`old${n}`))),
      );
      await seal();
      await chain.writeCheckpoints();
      clock.advance(200 * DAY_MS);
      await written('t1', 4);
      clock.advance(200 * DAY_MS);
      const during = verify('t1');
      expect(await chain.trim(700)).toBe(700);
      expect(await chain.trim(700, () => true)).toBe(0);
      expect(await chain.trim()).toBe(500);
      expect((await during).firstBad).toBeNull();
      expect(await verify('t1')).toMatchObject({ checked: 4, firstBad: null });
      const { total } = await logs.list('t1' as TenantId, { page: 1, perPage: 1, order: 'asc' });
      expect(total).toBe(4);
      await written('t1', 2);
      expect(await verify('t1')).toMatchObject({ checked: 6, firstBad: null });
      expect((await chain.events('t1' as TenantId, {}, undefined, 10)).rows).toHaveLength(6);
      expect(await chain.trim()).toBe(0);
      clock.advance(366 * DAY_MS);
      expect(await chain.trim()).toBe(6);
      expect(await verify('t1')).toMatchObject({ checked: 0, firstBad: null });
      expect((await verify('t1')).head.sequenceNumber).toBe(1_206);
      await written('t1', 1);
      expect(await verify('t1')).toMatchObject({ checked: 1, firstBad: null });
    });

    it('removes nothing from a chain that was tampered with, and says so', async () => {
      await written('t1', 5);
      await behind(`UPDATE audit_logs SET details = '{}' WHERE id =
        (SELECT audit_id FROM audit_chain WHERE sequence_number = 2)`);
      clock.advance(400 * DAY_MS);
      expect(await chain.trim()).toBe(0);
      expect(logged.at(-1)).toMatchObject({ fields: { tenant: 't1', sequence_number: 2 } });
    });

    it('keeps everything where it is for ever', async () => {
      await written('t1', 2);
      clock.advance(4_000 * DAY_MS);
      expect(await chainOf({ retentionMs: null }).trim()).toBe(0);
    });

    it('more removed than the trimming checkpoint says is found', async () => {
      await written('t1', 4);
      clock.advance(366 * DAY_MS);
      await written('t1', 4);
      await chain.trim();
      await behind(`DELETE FROM audit_chain WHERE sequence_number <= 6`);
      expect(await verify('t1')).toMatchObject({ checked: 0, firstBad: { sequenceNumber: 5 } });
    });
  });

  describe('the feed', () => {
    it('goes through sealed rows by cursor, filters, and skips none', async () => {
      await written('t1', 7);
      await written('t2', 1);
      const seen: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await chain.events('t1' as TenantId, {}, cursor, 3);
        seen.push(...page.rows.map((row) => row.sequenceNumber));
        cursor = page.nextCursor ?? undefined;
      } while (cursor);
      expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
      const prefixed = await chain.events('t1' as TenantId, { actionPrefix: 'vault.c' }, undefined, 100);
      expect(prefixed.rows.map((row) => row.action)).toEqual([
        'vault.create',
        'vault.create',
        'vault.create',
      ]);
      const none = await chain.events('t1' as TenantId, { resourceType: 'secret' }, undefined, 100);
      expect([none.rows, none.nextCursor]).toEqual([[], null]);
    });
  });

  describe('the critical chain', () => {
    const rotate = (tenant: string, name = 'k1') =>
      db.transaction((tx) => logs.recordCritical(tx, actor(tenant), entry(name, 'byok.kms.rotate')));
    const verifyCritical = () => createAuditVerification({ db, rootKey: ROOT_KEY }).verifyCritical();

    it('has one order over all tenants, and its acts stand in both chains', async () => {
      await rotate('t1');
      await rotate('t2');
      await rotate('t1', 'k3');
      await seal();
      expect(await verifyCritical()).toMatchObject({
        checked: 3,
        firstBad: null,
        head: { sequenceNumber: 3 },
      });
      expect(await verify('t1')).toMatchObject({ checked: 2, firstBad: null });
      expect(await chain.writeCheckpoints()).toBe(3);
      expect(await verifyCritical()).toMatchObject({ firstBad: null });
    });

    it('is gap-free under concurrent acts, also where some roll back', async () => {
      const acts = Array.from({ length: 12 }, (_, n) =>
        db.transaction(async (tx) => {
          await logs.recordCritical(tx, actor(`t${n % 2}`), entry(`k${n}`, 'tenant.impersonate'));
          if (n % 4 === 3) throw new Error('no');
        }),
      );
      const outcomes = await Promise.allSettled(acts);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(9);
      expect(await verifyCritical()).toMatchObject({ checked: 9, firstBad: null });
    });

    it('takes no act that is not on its list', async () => {
      const wrong = db.transaction((tx) => logs.recordCritical(tx, actor('t1'), entry('x', 'vault.create')));
      await expect(wrong).rejects.toThrow('critical chain');
    });

    it('cannot be changed through the database', async () => {
      await rotate('t1');
      await rotate('t1');
      const attempts = [
        `UPDATE audit_log_critical SET details = '{}'`,
        'DELETE FROM audit_log_critical WHERE sequence_number = 1',
        db.dialect === 'postgres'
          ? 'TRUNCATE audit_log_critical'
          : 'INSERT OR REPLACE INTO audit_log_critical SELECT * FROM audit_log_critical',
      ];
      for (const attempt of attempts) await expect(behind(attempt)).rejects.toThrow(/append-only/);
      expect(await verifyCritical()).toMatchObject({ checked: 2, firstBad: null });
    });

    it('shows what was done to it by who may drop the guards', async () => {
      for (let n = 0; n < 5; n++) await rotate('t1', `k${n}`);
      await chain.writeCheckpoints();
      const guards =
        db.dialect === 'sqlite'
          ? ['update', 'delete'].map((act) => `DROP TRIGGER audit_log_critical_no_${act}`)
          : ['DROP TRIGGER audit_log_critical_no_change ON audit_log_critical'];
      await behind(...guards, `UPDATE audit_log_critical SET details = '{}' WHERE sequence_number = 3`);
      expect(await verifyCritical()).toMatchObject({ checked: 2, firstBad: { sequenceNumber: 3 } });
      const rows = await db
        .view(auditTables)
        .system('sealer')
        .selectFrom('audit_log_critical')
        .selectAll()
        .where('sequence_number', '>=', 3)
        .orderBy('sequence_number')
        .execute();
      let prev = rows[0]!.prev_hash;
      for (const row of rows) {
        const hash = criticalRowHash(prev, row.sequence_number, row);
        await behind(
          `UPDATE audit_log_critical SET prev_hash = ${bytes(prev)}, row_hash = ${bytes(hash)} WHERE sequence_number = ${row.sequence_number}`,
        );
        prev = hash;
      }
      expect(await verifyCritical()).toMatchObject({ checked: 4, firstBad: { sequenceNumber: 5 } });
      await behind('DELETE FROM audit_log_critical WHERE sequence_number = 2');
      expect(await verifyCritical()).toMatchObject({ checked: 1, firstBad: { sequenceNumber: 2 } });
    });
  });

  describe('an installation of an earlier version', () => {
    let old: TestDatabase;
    beforeAll(async () => {
      old = await open([auditLogsMigration]);
    });
    afterAll(() => old.cleanup());

    it('has its rows sealed as well', async () => {
      const before = createAuditLogs({ db: old, clock, ids: systemIds });
      await old.commitInserts(
        Array.from({ length: 3_200 }, (_, n) => before.insertion(actor('t1'), entry(`old${n}`))),
      );
      const upgraded = await openDatabase(old.storage, { migrations, clock, commitHook });
      try {
        const newer = createAuditLogs({ db: upgraded, clock, ids: systemIds });
        const newerChain = createAuditChain({
          db: upgraded,
          clock,
          logger,
          rootKey: ROOT_KEY,
          retentionMs: null,
        });
        await upgraded.commitInserts([newer.insertion(actor('t1'), entry('new'))]);
        while ((await newerChain.sealPending()) > 0);
        const verified = await newerChain.verify('t1' as TenantId, {});
        expect(verified).toMatchObject({ checked: 3_201, firstBad: null, unsealedTail: 0 });
      } finally {
        await upgraded.close();
      }
    });
  });
}
