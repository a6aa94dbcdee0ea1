import { afterAll, beforeAll, expect, it } from 'vitest';
import { assert } from '../../../kernel/assert.js';
import { isAppError } from '../../../kernel/errors.js';
import type { RequestId, TenantId } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import {
  createGenerations,
  migrations as generationsMigrations,
} from '../../../platform/cache/generations.js';
import { createPasswordHasher, hashPassword } from '../../../platform/crypto/password-hash.js';
import { systemIds, systemRandom } from '../../../platform/crypto/random.js';
import { createOrigins } from '../../../platform/http/origins.js';
import type { Database } from '../../../platform/storage/database.js';
import { openDatabase } from '../../../platform/storage/open-database.js';
import { onPostgres, type TestDatabase } from '../../../testing/databases.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { migrations as auditLogsMigrations, createAuditLogs } from '../../audit-logs/index.js';
import { type Auth, createAuth } from '../auth.js';
import { createAccounts } from '../service.js';
import { migrations as accountsMigrations } from '../tables.js';
import type { Device } from './service.js';

const MIGRATIONS = [...accountsMigrations, ...generationsMigrations, ...auditLogsMigrations];
const EMAIL = 'owner@acme.example';
const PASSWORD = new Secret('correct horse battery staple');

/** Two servers on one PostgreSQL: each with connections of its own, and one clock that nobody moves. */
onPostgres((open) => {
  const clock = createManualClock();
  const rootKey = new Secret(systemRandom.bytes(32));
  let db: TestDatabase;
  let second: Database;
  let here: Auth;
  let there: Auth;

  beforeAll(async () => {
    db = await open(MIGRATIONS, { clock });
    second = await openDatabase(db.storage, { migrations: MIGRATIONS, clock });
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
    const passwordHash = await hashPassword(PASSWORD);
    const tenant = { id: systemIds.uuid() as TenantId, slug: 'acme', name: 'acme', plan: 'free' as const };
    await db.transaction((tx) => accounts.createTenantWithOwner(tx, tenant, { email: EMAIL, passwordHash }));
    here = authOf(db);
    there = authOf(second);
  });
  afterAll(async () => {
    await second.close();
    await db.cleanup();
  });

  function authOf(database: Database): Auth {
    return createAuth({
      passwords: createPasswordHasher(),
      db: database,
      clock,
      ids: systemIds,
      random: systemRandom,
      auditLogs: createAuditLogs({ db: database, clock, ids: systemIds }),
      rootKey,
      underRootKey: database.transaction,
      tokenKey: null,
      origins: createOrigins({ baseDomain: 'localhost' }, () => 'http://127.0.0.1:8787'),
      logger: { warn: () => {} },
      onSignIn: () => {},
      mailer: { send: () => {} },
      origin: () => '',
    });
  }

  async function opened(from: Device) {
    const outcome = await here.signIns.signIn(EMAIL, PASSWORD, from);
    assert(outcome.kind === 'open', 'no second factor is enrolled');
    return outcome.session;
  }
  const device = (ip: string) => ({ requestId: systemIds.uuid() as RequestId, ip, userAgent: null });
  const typeOf = (call: Promise<unknown>) =>
    call.then(
      () => 'done',
      (error: unknown) => (isAppError(error) ? error.type : error),
    );

  it('a session that one ends is refused by the other from the next call on', async () => {
    const session = await opened(device('192.0.2.1'));
    const token = session.token.reveal();
    expect((await there.sessions.authenticate(token)).user.email).toBe(EMAIL);
    const caller = {
      ...device('192.0.2.1'),
      userId: session.user.id,
      sessionId: session.sessionId,
      tenantId: null,
    };
    await here.sessions.revoke(caller, session.sessionId);
    expect(await typeOf(there.sessions.authenticate(token))).toBe('invalid_token');
    expect(await typeOf(there.sessions.refresh(session.refreshToken, device('192.0.2.1')))).toBe(
      'invalid_token',
    );
  });

  it('a refresh token is good for one of them, and both see that it was used twice', async () => {
    const session = await opened(device('192.0.2.2'));
    const outcomes = await Promise.all([
      typeOf(here.sessions.refresh(session.refreshToken, device('192.0.2.2'))),
      typeOf(there.sessions.refresh(session.refreshToken, device('192.0.2.2'))),
    ]);
    expect(outcomes.filter((outcome) => outcome === 'done').length).toBeLessThanOrEqual(1);
    for (const { sessions } of [here, there])
      expect(await typeOf(sessions.authenticate(session.token.reveal()))).toBe('invalid_token');
  });

  it('failures are counted together, and stay counted after a restart', async () => {
    const guess = ({ signIns }: Auth) =>
      typeOf(signIns.signIn(EMAIL, new Secret('wrong horse battery'), device('192.0.2.3')));
    for (const auth of [here, there, here, there, here])
      expect(await guess(auth)).toBe('invalid_credentials');
    for (const auth of [here, there, authOf(second)]) expect(await guess(auth)).toBe('rate_limit_exceeded');
  });
});
