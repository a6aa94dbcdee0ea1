import { afterAll, beforeAll, expect, it } from 'vitest';
import { canonicalJson } from '../../kernel/canonical-json.js';
import type { ApiKeyId, RequestId, TenantId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import { systemIds } from '../../platform/crypto/random.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { auditLogsMigration } from './migrations/0006-audit-logs.js';
import { type AuditLogs, createAuditLogs } from './service.js';

export function auditLogsContract(open: OpenTestDatabase): void {
  const clock = createManualClock();
  let db: TestDatabase;
  let auditLogs: AuditLogs;
  beforeAll(async () => {
    db = await open([auditLogsMigration]);
    auditLogs = createAuditLogs({ db, clock, ids: systemIds });
  });
  afterAll(() => db.cleanup());

  const actor = (tenant: string, sandbox = false): Actor => ({
    scope: { tenantId: tenant as TenantId, sandbox },
    apiKeyId: 'key-1' as ApiKeyId,
    userId: null,
    requestId: 'request-1' as RequestId,
    ip: '127.0.0.1',
  });
  const entry = {
    action: 'vault.create',
    resourceType: 'vault',
    resourceId: 'v1',
    details: { name: 'cards' },
  };
  const everything = { page: 1, perPage: 100, order: 'desc' } as const;

  it('commits and rolls back with the change', async () => {
    await db.transaction((tx) => auditLogs.record(tx, actor('t1'), entry));
    const failing = db.transaction(async (tx) => {
      await auditLogs.record(tx, actor('t1'), entry);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    const { rows, total } = await auditLogs.list('t1' as TenantId, everything);
    expect(total).toBe(1);
    expect(rows[0]).toMatchObject({
      action: 'vault.create',
      resourceId: 'v1',
      details: { name: 'cards', sandbox: false },
      ipAddress: '127.0.0.1',
      createdAtMs: clock.nowMs(),
    });
  });

  it('writes the same row by group commit, many at once', async () => {
    await Promise.all(
      Array.from({ length: 50 }, () => db.commitInserts([auditLogs.insertion(actor('t2', true), entry)])),
    );
    const { rows, total } = await auditLogs.list('t2' as TenantId, everything);
    expect(total).toBe(50);
    expect(rows.every((row) => row.details['sandbox'] === true)).toBe(true);
    expect((await auditLogs.list('t3' as TenantId, everything)).total).toBe(0);
  });

  it('tells frozen details as any others, each mode and each binding its own', async () => {
    const frozen = { ...entry, details: Object.freeze({ name: 'cards', password: 'hunter2' }) };
    const bound: Actor = { ...actor('t4'), apiKeyId: null, bindingId: 'binding-1' as never };
    for (const one of [actor('t4'), actor('t4', true), bound, actor('t4')])
      await db.commitInserts([auditLogs.insertion(one, frozen)]);
    const { rows } = await auditLogs.list('t4' as TenantId, everything);
    const told = { name: 'cards', password: '[REDACTED]' };
    expect(rows.map(({ details }) => canonicalJson(details)).sort()).toEqual(
      [
        { ...told, sandbox: false },
        { ...told, sandbox: true },
        { ...told, sandbox: false, oidc_binding_id: 'binding-1' },
        { ...told, sandbox: false },
      ]
        .map(canonicalJson)
        .sort(),
    );
  });
}
