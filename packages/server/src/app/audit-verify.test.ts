import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAccounts } from '../capabilities/accounts/index.js';
import { commitHook, createAuditChain, createAuditLogs } from '../capabilities/audit-logs/index.js';
import { createTenantSwitch } from '../capabilities/plans/index.js';
import type { TenantId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { createGenerations } from '../platform/cache/generations.js';
import { systemIds } from '../platform/crypto/random.js';
import { command } from '../testing/command.js';
import { changeBehind, forEachDatabase, type TestDatabase } from '../testing/databases.js';
import { createManualClock } from '../testing/manual-clock.js';
import { MIGRATIONS } from './migrations.js';

const ROOT_KEY = Buffer.alloc(32, 1);
const clock = createManualClock();
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

/** The command as an operator runs it. */
function run(words: string[], environment: Record<string, string>) {
  return command(['audit', 'verify', ...words], {
    environment: { MASTER_KEY_B64: ROOT_KEY.toString('base64'), ...environment },
    workingDir: '/nowhere',
    clock,
  });
}

forEachDatabase((name, open) => {
  let db: TestDatabase;
  const environment = () => ({
    DATABASE_URL: db.storage.kind === 'sqlite' ? `sqlite:${db.storage.path}` : db.storage.url,
  });

  beforeEach(async () => {
    db = await open(MIGRATIONS, { clock, commitHook });
    const chain = createAuditChain({
      db,
      clock,
      logger: quiet as never,
      rootKey: new Secret(ROOT_KEY),
      retentionMs: null,
    });
    await chain.start();
    await chain.stop();
    const auditLogs = createAuditLogs({ db, clock, ids: systemIds });
    const generations = createGenerations({ db, clock });
    const accounts = createAccounts({
      db,
      clock,
      ids: systemIds,
      generations,
      auditLogs,
      seedTenant: async () => {},
    });
    for (const slug of ['acme', 'globex']) {
      const id = systemIds.uuid() as TenantId;
      const owner = { email: `o@${slug}.example`, passwordHash: 'none' };
      await db.transaction((tx) =>
        accounts.createTenantWithOwner(tx, { id, slug, name: slug, plan: 'enterprise' }, owner),
      );
      const tenants = createTenantSwitch({ db, clock, accounts, auditLogs });
      await tenants.changeBySlug(slug, { subscriptionStatus: 'past_due' });
    }
    while ((await chain.sealPending()) > 0);
    await chain.writeCheckpoints();
  });
  afterEach(() => db.cleanup());

  describe('audit verify', () => {
    it('verifies every chain beside the running server', async () => {
      const { code, out, error } = await run([], environment());
      expect([code, error]).toEqual([0, '']);
      expect(out.split('\n').filter(Boolean).sort()).toEqual([
        expect.stringMatching(/^critical chain: 0 rows verified/),
        expect.stringMatching(/^tenant acme: 2 rows verified, head 2 [0-9a-f]{64}$/),
        expect.stringMatching(/^tenant globex: 2 rows verified/),
      ]);
    });

    it('names the first bad row of the tenant that has one', async () => {
      await changeBehind(
        db.storage,
        `UPDATE audit_logs SET details = '{}' WHERE action = 'tenant.update' AND tenant_id =
           (SELECT id FROM tenants WHERE slug = 'globex')`,
      );
      const all = await run([], environment());
      expect([all.code, all.out]).toEqual([
        1,
        expect.stringContaining('tenant globex: BAD at sequence number 2'),
      ]);
      expect((await run(['--tenant', 'globex'], environment())).code).toBe(1);
      expect(await run(['--tenant', 'acme'], environment())).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^tenant acme: 2 rows verified/),
      });
    });

    it('names a row of the log that is in no chain, and rows whose chain was removed', async () => {
      const copied = 'actor_type, action, resource_type, details, created_at, verb, is_sandbox';
      await changeBehind(
        db.storage,
        `INSERT INTO audit_logs (tenant_id, id, ${copied}) SELECT tenant_id, 'forged', ${copied} FROM audit_logs
           WHERE action = 'tenant.update' AND tenant_id = (SELECT id FROM tenants WHERE slug = 'globex')`,
        'DELETE FROM audit_unsealed',
        ...['audit_chain', 'audit_chain_heads', 'audit_checkpoints'].map(
          (table) => `DELETE FROM ${table} WHERE tenant_id = (SELECT id FROM tenants WHERE slug = 'acme')`,
        ),
      );
      const { code, out } = await run([], environment());
      expect([code, out]).toEqual([
        1,
        expect.stringContaining('tenant globex: BAD at sequence number 3: the row forged of the log'),
      ]);
      expect(out).toContain('tenant acme: BAD at sequence number 1: the row ');
    });

    it('refuses an unknown tenant, another root key and other words', async () => {
      expect(await run(['--tenant', 'nobody'], environment())).toMatchObject({
        code: 1,
        error: 'Cannot verify: there is no tenant nobody\n',
      });
      const otherKey = { ...environment(), MASTER_KEY_B64: Buffer.alloc(32, 2).toString('base64') };
      expect(await run([], otherKey)).toMatchObject({ code: 1, error: expect.stringContaining('root key') });
      expect((await run(['--all'], environment())).code).toBe(2);
      expect((await run(['--tenant'], environment())).code).toBe(2);
    });

    it('works on the data of a stopped server, and writes nothing', async () => {
      if (name === 'sqlite') await db.close();
      expect(await run([], environment())).toMatchObject({ code: 0, error: '' });
    });
  });
});

describe('audit verify without a database', () => {
  it('says so and makes none', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'knox-test-'));
    try {
      const answer = await run([], { KNOX_DATA_DIR: dir });
      expect(answer).toMatchObject({
        code: 1,
        error: `Cannot verify: there is no installation at ${join(dir, 'knox.db')} yet; the first start makes it\n`,
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
