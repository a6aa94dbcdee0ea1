import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { MIGRATIONS } from '../../app/migrations.js';
import type { Scope } from '../../kernel/ids.js';
import { systemIds } from '../../platform/crypto/random.js';
import { jobTables } from '../../platform/jobs/tables.js';
import { createLogger } from '../../platform/log/logger.js';
import { POSTGRES_COLUMNS, SQLITE_COLUMNS } from '../../platform/storage/columns.js';
import type { Database } from '../../platform/storage/database.js';
import { openDatabase } from '../../platform/storage/open-database.js';
import { changeBehind, forEachDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createTestServices, stopServices, type TestServices } from '../../testing/services.js';
import { createTestTenant } from '../../testing/tenants.js';
import { commitHook } from '../audit-logs/index.js';
import { clientCaMigration } from './migrations/0035-client-ca.js';
import { authoritiesMigration } from './migrations/0046-authorities.js';

const DAY = 86_400_000;
const CLIENT = { id: 'cccccccc-0000-4000-8000-000000000001', name: 'build server' };

const LIST = 'revocations, list, list_number, list_revocations, list_this_update, list_next_update';
/** As it was left by the version before: the same rows in its tables. */
const downgrade = (dialect: 'sqlite' | 'postgres') => [
  ...clientCaMigration.statements(dialect === 'sqlite' ? SQLITE_COLUMNS : POSTGRES_COLUMNS),
  `INSERT INTO client_authorities SELECT tenant_id, sandbox, id, kind, root_id, key_id, serial, subject, public_key, key_envelope,
    certificate, CASE status WHEN 'active' THEN 1 ELSE 0 END, not_before, not_after, created_at, ${LIST} FROM authorities`,
  `INSERT INTO client_certificates SELECT tenant_id, sandbox, serial, authority_id, client_id, not_after, created_at, revoked_at,
    revocation_reason FROM authority_certificates`,
  'DROP TABLE authority_certificates',
  'DROP TABLE authorities',
  "INSERT INTO job_kinds (kind, title, every_ms, registered_at) VALUES ('client_ca_upkeep', 'Signs', 600000, 0)",
  `DELETE FROM schema_migrations WHERE id = '${authoritiesMigration.id}'`,
];

forEachDatabase((name, open) => {
  it('chains and certificates of clients from before there were other authorities go on', async () => {
    const clock = createManualClock();
    const logger = createLogger('error', { write: () => true });
    const db = await open(MIGRATIONS, { clock, commitHook });

    async function start(on: Database): Promise<TestServices> {
      const services = createTestServices({ db: on, clock, logger });
      await services.generations.start();
      return services;
    }
    async function issue({ clientCa }: TestServices, on: Database, scope: Scope) {
      const prepared = await clientCa.prepare(scope, CLIENT);
      await on.transaction((tx) => prepared.record(tx));
      return prepared;
    }

    const before = await start(db);
    const tenant = await createTestTenant({ ...before, db, ids: systemIds }, 'upgraded');
    const live: Scope = { tenantId: tenant.id, sandbox: false };
    const test: Scope = { ...live, sandbox: true };
    const old = await issue(before, db, live);
    await issue(before, db, test);
    // Its root is renewed in time, so that there are two.
    clock.advance(2_600 * DAY);
    const [kept, revoked] = [await issue(before, db, live), await issue(before, db, live)];
    await db.transaction((tx) => before.clientCa.revoke(tx, live, [revoked.serial], 'superseded'));
    const stateOf = async ({ authorities }: TestServices, scope: Scope) => [
      // First: it signs what is over.
      await authorities.listsPem(scope, '_clients'),
      await authorities.listRoots(scope),
      await authorities.rootsPem(scope, '_clients'),
    ];
    const states = [await stateOf(before, live), await stateOf(before, test)];
    await stopServices(before);
    await db.close();

    await changeBehind(db.storage, ...downgrade(name));
    const again = await openDatabase(db.storage, { migrations: MIGRATIONS, clock, commitHook });
    const after = await start(again);
    expect([await stateOf(after, live), await stateOf(after, test)]).toEqual(states);
    const kinds = await again.view(jobTables).system('jobs').selectFrom('job_kinds').select('kind').execute();
    expect(kinds.map(({ kind }) => kind)).not.toContain('client_ca_upkeep');
    const [root, former] = await after.authorities.listRoots(live);
    expect([root!.status, root!.formerRootId, former!.status]).toEqual(['active', former!.id, 'retired']);
    expect(await after.authorities.findCertificate(live, root!.id, revoked.serial)).toMatchObject({
      subject: '',
      clientId: CLIENT.id,
      notBeforeMs: revoked.notBeforeMs,
      notAfterMs: revoked.notAfterMs,
      reason: 'superseded',
      der: Buffer.alloc(0),
    });
    expect((await after.authorities.findCertificate(live, former!.id, old.serial))?.serial).toBe(old.serial);

    // By the name that the table had when it was sealed, which none but it may take.
    const place = { tenantId: live.tenantId, mode: 'live', rowId: root!.id, column: 'key_envelope' } as const;
    const key = await after.kms.open({ ...place, table: 'client_authorities' }, root!.keyEnvelope);
    expect(createPrivateKey({ key, format: 'der', type: 'pkcs8' }).asymmetricKeyType).toBe('ec');
    await expect(
      (async () => after.kms.open({ ...place, table: 'authorities' }, root!.keyEnvelope))(),
    ).rejects.toThrow();

    // The key of the issuing authority was sealed before, and opens: for certificates, lists, and its root's.
    const more = await issue(after, again, live);
    expect(more.caChainPem).toBe(kept.caChainPem);
    const [issuing] = more.caChainPem.split(/(?<=END CERTIFICATE-----\n)/);
    const isSigned = new X509Certificate(more.certificatePem).verify(new X509Certificate(issuing!).publicKey);
    expect(isSigned).toBe(true);
    await again.transaction((tx) => after.clientCa.revoke(tx, live, [kept.serial], 'superseded'));
    expect(await after.authorities.listsPem(live, '_clients')).not.toBe(states[0]![0]);
    clock.advance(700 * DAY);
    const renewed = await issue(after, again, live);
    expect(renewed.caChainPem).not.toBe(more.caChainPem);
    expect(renewed.caChainPem.endsWith(more.caChainPem.split(/(?<=END CERTIFICATE-----\n)/)[1]!)).toBe(true);

    await stopServices(after);
    await again.close();
    await db.cleanup();
  });
});
