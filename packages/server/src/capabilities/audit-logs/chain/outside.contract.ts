import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import type { Actor } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { changeBehind, type OpenTestDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock, type ManualClock } from '../../../testing/manual-clock.js';
import { commitHook } from '../commit-hook.js';
import { type AuditLogs, createAuditLogs } from '../service.js';
import { migrations } from '../tables.js';
import { type AuditChain, createAuditChain } from './service.js';
import { createAuditVerification } from './verification.js';

const DAY_MS = 86_400_000;
const ROOT_KEY = new Secret(Buffer.alloc(32, 1));
const T1 = 't1' as TenantId;

/** Rows of the log that stand in no chain. */
export function outsideContract(open: OpenTestDatabase): void {
  let clock: ManualClock;
  let db: TestDatabase;
  let chain: AuditChain;

  beforeEach(async () => {
    clock = createManualClock();
    const logger = { info: () => {}, warn: () => {}, error: () => {} } as never;
    db = await open(migrations, { clock, logger, commitHook });
    chain = createAuditChain({ db, clock, logger, rootKey: ROOT_KEY, retentionMs: 30 * DAY_MS });
  });
  afterEach(() => db.cleanup());

  const logsBy = (by: ManualClock) => createAuditLogs({ db, clock: by, ids: systemIds });

  async function write(count: number, logs: AuditLogs = logsBy(clock), tenantId = T1): Promise<void> {
    const scope = { tenantId, sandbox: false };
    const actor: Actor = { scope, apiKeyId: null, userId: null, requestId: null, ip: null };
    const row = { action: 'vault.detokenize', resourceType: 'vault', resourceId: 'v', details: {} };
    await db.commitInserts(Array.from({ length: count }, () => logs.insertion(actor, row)));
  }

  async function seal(): Promise<void> {
    while ((await chain.sealPending()) > 0);
  }

  const verify = (from?: number, to?: number, tenantId = T1) => chain.verify(tenantId, { from, to });
  const behind = (...statements: string[]) => changeBehind(db.storage, ...statements);
  const forge = (id: string, createdAtMs = 1) => [
    `INSERT INTO audit_logs (tenant_id, id, actor_type, action, resource_type, details, created_at, verb, is_sandbox)
      VALUES ('t1', '${id}', 'user', 'vault.delete', 'vault', '{"sandbox":false}', ${createdAtMs}, 'delete', 0)`,
    // What PostgreSQL's trigger queues, as the server's own rows.
    `DELETE FROM audit_unsealed WHERE audit_id = '${id}'`,
  ];

  it.each([
    ['before the others', -DAY_MS],
    ['among them', 500],
    ['after them', DAY_MS],
  ])('a row put in %s is found and named', async (_, ms) => {
    for (let n = 0; n < 3; n++) {
      await write(400);
      clock.advance(400);
    }
    await write(3, logsBy(clock), 't2' as TenantId);
    await seal();
    expect((await verify()).firstBad).toBeNull();
    const atMs = clock.nowMs() - 1_200 + ms;
    await behind(...forge('later', atMs + 1), ...forge('first', atMs));
    const firstBad = { sequenceNumber: 1_201, reason: expect.stringContaining('row first of the log') };
    expect(await verify()).toMatchObject({ checked: 1_200, firstBad, unsealedTail: 0 });
    expect(await verify(1_000, 1_200)).toMatchObject({ checked: 201, firstBad });
    expect((await verify(1, 1_199)).firstBad).toBeNull();
    expect((await verify(undefined, undefined, 't2' as TenantId)).firstBad).toBeNull();
  });

  it('is found where a sealed row is queued once more in its place', async () => {
    await write(5);
    await seal();
    await behind(
      ...forge('forged'),
      `INSERT INTO audit_unsealed (tenant_id, audit_id)
        SELECT tenant_id, audit_id FROM audit_chain WHERE sequence_number = 3`,
    );
    expect((await verify()).firstBad).toMatchObject({ reason: expect.stringContaining('row forged') });
  });

  it('rows whose whole chain was removed are found, and their tenant is listed', async () => {
    await write(5);
    await seal();
    await chain.writeCheckpoints();
    const tables = ['audit_chain', 'audit_chain_heads', 'audit_checkpoints'];
    await behind(...tables.map((table) => `DELETE FROM ${table} WHERE tenant_id = 't1'`));
    const verification = createAuditVerification({ db, rootKey: ROOT_KEY });
    expect(await verification.listTenants()).toEqual([T1]);
    expect(await verification.verifyTenant(T1)).toMatchObject({
      checked: 0,
      firstBad: { sequenceNumber: 1 },
    });
  });

  it('rows that wait to be sealed are no alarm', async () => {
    await write(700);
    await seal();
    await write(3_000);
    const waiting = db.dialect === 'postgres' ? 3_000 : 0;
    expect(await verify()).toMatchObject({ firstBad: null, unsealedTail: waiting });
  });

  it('a chain in another order than the log is no alarm, and hides no row', async () => {
    await write(3_000, logsBy(createManualClock(clock.nowMs() + DAY_MS)));
    await seal();
    await write(3_000);
    await seal();
    expect(await verify()).toMatchObject({ checked: 6_000, firstBad: null });
    await behind(...forge('forged', clock.nowMs() + DAY_MS));
    expect((await verify()).firstBad).toMatchObject({ reason: expect.stringContaining('row forged') });
  });

  it('rows that are written, sealed and trimmed meanwhile are no alarm', async () => {
    await write(2_500);
    await seal();
    clock.advance(31 * DAY_MS);
    let isDone = false;
    const life = async () => {
      for (let n = 0; n < 30; n++) {
        await Promise.all([write(50), write(1)]);
        if (n % 3 > 0) await chain.sealPending(70);
        if (n % 5 === 0) await chain.trim(400);
      }
      isDone = true;
    };
    const living = life();
    let verifications = 0;
    while (!isDone) {
      expect((await verify()).firstBad).toBeNull();
      verifications++;
    }
    await living;
    expect(verifications).toBeGreaterThan(1);
    await seal();
    await chain.trim();
    expect(await verify()).toMatchObject({ checked: 30 * 51, firstBad: null, unsealedTail: 0 });
  });
}
