import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../../../app/migrations.js';
import type { Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { systemIds } from '../../../platform/crypto/random.js';
import type { JobContext, JobPayload } from '../../../platform/jobs/definition.js';
import { createLogger } from '../../../platform/log/logger.js';
import { forEachDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../../testing/services.js';
import { createTestTenant } from '../../../testing/tenants.js';
import { commitHook, createAuditVerification } from '../../audit-logs/index.js';
import { toLogResponse } from '../schemas.js';
import { entry } from '../store.contract.js';
import { apiLogTables } from '../tables.js';
import { toProofResponse } from './schemas.js';
import { createLogAnchors, type LogAnchors } from './service.js';

const DAY_MS = 86_400_000;

forEachDatabase((_name, open) => {
  let clock: ManualClock;
  let db: TestDatabase;
  let services: TestServices;
  let live: Scope;
  let test: Scope;
  let foreign: Scope;
  let anchors: LogAnchors;

  beforeEach(async () => {
    clock = createManualClock();
    db = await open(MIGRATIONS, { clock, commitHook });
    services = createTestServices({ db, clock, logger: createLogger('error', { write: () => {} }) });
    const makers = { ...services, db, ids: systemIds };
    const [acme, globex] = [await createTestTenant(makers, 'acme'), await createTestTenant(makers, 'globex')];
    live = { tenantId: acme.id, sandbox: false };
    test = { tenantId: acme.id, sandbox: true };
    foreign = { tenantId: globex.id, sandbox: false };
    anchors = createLogAnchors({ db, clock, ids: systemIds, ...services, leavesMax: 4 });
  });
  afterEach(async () => {
    await stopServices(services);
    await db.cleanup();
  });

  async function write(scope: Scope, ...requestIds: string[]): Promise<void> {
    for (const id of requestIds)
      services.apiLogs.append(
        entry(scope, id, { tsMs: clock.nowMs(), environment: id === 'ü"' ? 'Prod\u2028é' : null }),
      );
    await services.apiLogs.flush();
  }

  const contextOf = (more: Partial<JobContext> = {}): JobContext => ({
    id: 1,
    payload: {},
    attempt: 1,
    batchMax: 1_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
    ...more,
  });
  const run = (more: Partial<JobContext> = {}) => anchors.anchor(contextOf(more));
  const settle = () => clock.advance(21_000);
  const prove = async (scope: Scope, requestId: string, by = anchors) =>
    toProofResponse(await by.proof(scope, requestId), true);
  const rowOf = async (scope: Scope, requestId: string) =>
    toLogResponse(await services.apiLogs.get(scope, requestId), true) as Record<string, unknown>;

  /** The recipe of docs/operations/request-log.md, on nothing but the two answers. */
  function isProven(row: Record<string, unknown>, answer: Awaited<ReturnType<typeof prove>>): boolean {
    const sha256 = (...parts: (string | Buffer)[]) => {
      const hash = createHash('sha256');
      for (const part of parts) hash.update(part);
      return hash.digest();
    };
    const text = JSON.stringify(answer.verification.leaf_fields.map((field) => row[field]));
    let hash = sha256(Buffer.from([0]), text);
    if (hash.toString('hex') !== answer.leaf_hash) return false;
    for (const step of answer.proof ?? []) {
      const sibling = Buffer.from(step.hash, 'hex');
      hash = step.right ? sha256(Buffer.from([1]), hash, sibling) : sha256(Buffer.from([1]), sibling, hash);
    }
    return hash.toString('hex') === answer.anchor?.merkle_root;
  }

  describe('an anchored row', () => {
    it('is proven by what the answers say alone, in each tenant and mode and each range', async () => {
      await write(live, 'a', 'b');
      await write(test, 't');
      await write(live, 'c', 'ü"', 'e', 'f', 'g');
      await write(foreign, 'x', 'y', 'z');
      expect(await prove(live, 'a')).toMatchObject({ anchored: false, reason: 'not_yet_anchored' });
      settle();
      expect(await run()).toMatchObject({ rows: 11 });
      const counts = [];
      for (const [scope, ids] of [
        [live, ['a', 'b', 'c', 'ü"', 'e', 'f', 'g']],
        [test, ['t']],
        [foreign, ['x', 'y', 'z']],
      ] as const) {
        for (const id of ids) {
          const answer = await prove(scope, id);
          expect(answer, id).toMatchObject({ anchored: true, verified: true });
          expect(isProven(await rowOf(scope, id), answer), id).toBe(true);
          expect(isProven({ ...(await rowOf(scope, id)), status_code: 201 }, answer), id).toBe(false);
          counts.push(answer.anchor!.leaf_count);
        }
      }
      expect(counts).toEqual([4, 4, 4, 4, 3, 3, 3, 1, 3, 3, 3]);
      const single = await prove(test, 't');
      expect(single).toMatchObject({ leaf_index: 0, proof: [], observed_leaf_count: 1 });
      expect(single.recomputed_root).toBe(single.leaf_hash);
    });

    it('is proven whatever its values are made of', async () => {
      const odd = [
        ...Array.from({ length: 31 }, (_, at) => String.fromCharCode(at + 1)),
        ...['"', '\\', '/', ', ', '",1,"', '\u007f', '\u0085', '\u2028', 'é', '\u{1f511}', ' ', ''],
      ];
      for (const [at, value] of odd.entries())
        services.apiLogs.append(
          entry(live, `odd-${at}`, {
            tsMs: clock.nowMs() + at * 37,
            environment: value,
            method: `M${value}`,
            matchedClientId: at % 2 === 0 ? null : value.repeat(3),
            srcIp: at % 3 === 0 ? null : value,
          }),
        );
      await services.apiLogs.flush();
      settle();
      await run();
      for (const at of odd.keys()) {
        const answer = await prove(live, `odd-${at}`);
        expect(isProven(await rowOf(live, `odd-${at}`), answer), JSON.stringify(odd[at])).toBe(true);
      }
    });

    it('stands in the critical chain alone, which verifies', async () => {
      await write(live, 'a', 'b');
      settle();
      await run();
      const { anchor } = await prove(live, 'a');
      const link = await services.auditLogs.criticalRow(Number(anchor!.sequence_number));
      expect(link).toMatchObject({ tenantId: live.tenantId, action: 'request_log.anchor', isIntact: true });
      expect(JSON.parse(link!.details)).toEqual({
        algo: 'sha256-rfc6962-jcs',
        from_id: anchor!.from_id,
        to_id: anchor!.to_id,
        leaf_count: 2,
        merkle_root: anchor!.merkle_root,
        sandbox: false,
      });
      expect(link!.rowHash.toString('hex')).toBe(anchor!.chain_row_hash);
      const asked = { page: 1, perPage: 100, order: 'asc' } as const;
      const { rows } = await services.auditLogs.list(live.tenantId, asked as never);
      expect(rows.filter(({ action }) => action === 'request_log.anchor')).toEqual([]);
      const verification = createAuditVerification({ db, rootKey: new Secret(Buffer.alloc(32, 7)) });
      expect(await verification.verifyCritical()).toMatchObject({
        firstBad: null,
        head: { sequenceNumber: 1 },
      });
    });

    it('is anchored once: later runs take what came behind it', async () => {
      await write(live, 'a');
      settle();
      const first = await run();
      expect(await run({ payload: first.payload! })).toMatchObject({ rows: 0 });
      await write(live, 'b');
      settle();
      expect(await run({ payload: first.payload! })).toMatchObject({ rows: 1 });
      const [a, b] = [await prove(live, 'a'), await prove(live, 'b')];
      expect(Number(b.anchor!.from_id)).toBe(Number(a.anchor!.to_id) + 1);
    });

    it('needs no identity of others to be shown: without the grant no hash says what could be guessed', async () => {
      await write(live, 'a');
      settle();
      await run();
      const answer = toProofResponse(await anchors.proof(live, 'a'), false);
      expect(answer).toMatchObject({ anchored: true, verified: true, leaf_index: 0 });
      for (const member of ['leaf_hash', 'proof', 'recomputed_root'])
        expect(answer).not.toHaveProperty(member);
      expect(answer.anchor).not.toHaveProperty('merkle_root');
    });
  });

  describe('a row is not proven', () => {
    const log = () => db.view(apiLogTables).scoped(live);

    async function anchored(): Promise<void> {
      await write(live, 'a', 'b', 'c');
      settle();
      await run();
    }

    it('where one of the range was changed, itself or another', async () => {
      await anchored();
      await log().updateTable('api_logs').set({ status_code: 500 }).where('request_id', '=', 'b').execute();
      for (const id of ['a', 'b'])
        expect(await prove(live, id)).toMatchObject({
          anchored: true,
          verified: false,
          reason: 'root_mismatch',
        });
      expect(await prove(live, 'a')).not.toHaveProperty('proof', expect.anything());
    });

    it('where the table of anchors was changed with it, for the chain says otherwise', async () => {
      await anchored();
      await log().updateTable('api_logs').set({ status_code: 500 }).where('request_id', '=', 'b').execute();
      const { recomputed_root } = await prove(live, 'a');
      await log()
        .updateTable('log_anchors')
        .set({ merkle_root: Buffer.from(recomputed_root!, 'hex') })
        .execute();
      expect(await prove(live, 'a')).toMatchObject({
        verified: false,
        reason: 'root_mismatch',
        detail: expect.stringContaining('critical audit chain'),
      });
    });

    it('where rows of the range are gone, as after retention', async () => {
      await anchored();
      await log().deleteFrom('api_logs').where('request_id', '=', 'a').execute();
      expect(await prove(live, 'b')).toMatchObject({
        reason: 'range_incomplete',
        observed_leaf_count: 2,
        anchor: { leaf_count: 3 },
      });
    });

    it('where the range has more rows than were anchored', async () => {
      await write(live, 'a', 'late', 'b');
      const late = await services.apiLogs.get(live, 'late');
      await log().deleteFrom('api_logs').where('request_id', '=', 'late').execute();
      settle();
      await run();
      expect(await prove(live, 'a')).toMatchObject({ verified: true });
      const { id } = late;
      await write(live, 'again');
      await log().updateTable('api_logs').set({ id }).where('request_id', '=', 'again').execute();
      expect(await prove(live, 'a')).toMatchObject({ reason: 'range_grew', observed_leaf_count: 3 });
    });

    it('where it stands before all that was anchored', async () => {
      await anchored();
      await write(live, 'before');
      await log().updateTable('api_logs').set({ id: 0 }).where('request_id', '=', 'before').execute();
      expect(await prove(live, 'before')).toMatchObject({ anchored: false, reason: 'row_not_in_range' });
    });

    it('where the range is larger than is read', async () => {
      await anchored();
      const small = createLogAnchors({ db, clock, ids: systemIds, ...services, proofRowsMax: 2 });
      expect(await prove(live, 'a', small)).toMatchObject({
        anchored: true,
        reason: 'anchor_range_too_large',
      });
    });

    it('and is 404 to another tenant and mode', async () => {
      await anchored();
      for (const scope of [test, foreign])
        await expect(prove(scope, 'a')).rejects.toMatchObject({ type: 'not_found' });
    });
  });

  describe('the job', () => {
    it('goes on where a run that had no time left it', async () => {
      await write(live, 'a', 'b', 'c', 'd', 'e');
      await write(foreign, 'x');
      settle();
      let payload: JobPayload = {};
      let runs = 0;
      let rows = 0;
      for (let isOver = false; !isOver; runs++) {
        const report = await run({ payload, batchMax: 1 });
        payload = report.payload!;
        rows += report.rows;
        isOver = report.againInMs === undefined;
      }
      expect(runs).toBeGreaterThan(1);
      expect(rows).toBe(6);
      for (const [scope, id] of [
        [live, 'e'],
        [foreign, 'x'],
      ] as const)
        expect(await prove(scope, id)).toMatchObject({ verified: true });
    });

    it('writes nothing once its lease is lost, and two at once anchor each row once', async () => {
      await write(live, 'a', 'b');
      settle();
      const lost = () => Promise.reject(new Error('lease lost'));
      await expect(run({ fence: lost })).rejects.toThrow('lease lost');
      expect(await prove(live, 'a')).toMatchObject({ anchored: false });
      await Promise.all([run(), run()]);
      const rows = await db.view(apiLogTables).scoped(live).selectFrom('log_anchors').selectAll().execute();
      expect(rows.map(({ leaf_count }) => leaf_count)).toEqual([2]);
      const { rows: none } = await run();
      expect(none).toBe(0);
    });

    it('forgets anchors whose rows are gone, and knows where to go on', async () => {
      await write(live, 'a', 'b', 'c', 'd');
      settle();
      await run();
      clock.advance(DAY_MS);
      await write(live, 'e');
      settle();
      await run();
      await db
        .view(apiLogTables)
        .scoped(live)
        .deleteFrom('api_logs')
        .where('ts', '<', clock.nowMs() - 60_000)
        .execute();
      await run();
      const rows = await db.view(apiLogTables).scoped(live).selectFrom('log_anchors').selectAll().execute();
      expect(rows).toHaveLength(1);
      expect(await prove(live, 'e')).toMatchObject({ verified: true });
    });
  });
});
