import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuth } from '../capabilities/accounts/index.js';
import { createAccountsStore } from '../capabilities/accounts/store.js';
import { accountsTables } from '../capabilities/accounts/tables.js';
import { createAuditLogs } from '../capabilities/audit-logs/index.js';
import { isAppError } from '../kernel/errors.js';
import type { RequestId, TenantId, UserId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { createPasswordHasher } from '../platform/crypto/password-hash.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createOrigins } from '../platform/http/origins.js';
import { command } from '../testing/command.js';
import { forEachDatabase } from '../testing/databases.js';
import { openInstallation, type TestInstallation } from '../testing/installation.js';
import { createManualClock } from '../testing/manual-clock.js';

const OWNER = 'owner@example.com';
const dir = mkdtempSync(join(tmpdir(), 'knox-owner-'));
afterAll(() => rmSync(dir, { recursive: true }));

const typeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (isAppError(error) ? error.type : error),
  );

forEachDatabase((_name, open) => {
  let installation: TestInstallation;
  beforeEach(async () => {
    installation = await openInstallation({ open });
  });
  afterEach(() => installation.close());

  function run(...words: string[]) {
    const { storage } = installation.db;
    const url = storage.kind === 'postgres' ? storage.url : `sqlite:${storage.path}`;
    const environment = { DATABASE_URL: url, KNOX_DATA_DIR: dir };
    const { clock } = installation;
    return command(['owner', 'reset-password', ...words], { environment, workingDir: dir, clock });
  }

  async function reset(...words: string[]): Promise<string> {
    const { code, out, error } = await run(...words);
    expect([code, error]).toEqual([0, '']);
    return /^ {2}(\S{24})$/m.exec(out)![1]!;
  }

  describe('knox-server owner reset-password', () => {
    it('gives the owner a password, shown once, and ends the sessions, beside a running server', async () => {
      const { signIn, call } = installation;
      const me = async (token: string) => (await call('GET', '/admin/auth/me', { token })).status;
      const first = await run();
      expect(first.code).toBe(0);
      // The one that the installation has opened.
      expect(first.out).toMatch(/^The password of owner@example\.com is now.*Sessions ended: 1\n$/s);
      const before = /^ {2}(\S{24})$/m.exec(first.out)![1]!;
      const token = await signIn(OWNER, before);
      expect(await me(token)).toBe(200);
      const after = await reset();
      expect(after).not.toBe(before);
      expect(await me(token)).toBe(401);
      expect(await typeOf(signIn(OWNER, before))).toBe('invalid_credentials');
      expect(await me(await signIn(OWNER, after))).toBe(200);
    });

    it('is audited as the system’s, without the password', async () => {
      const password = await reset(OWNER.toUpperCase());
      await installation.signIn(OWNER, password);
      const answer = await installation.call('GET', '/v1/audit-logs?action=user.password_reset', {});
      expect(answer.status).toBe(200);
      expect(answer.json.data).toMatchObject([
        { resource_type: 'user', details: { sessions_ended: 1, sandbox: false }, ip_address: null },
      ]);
      expect(answer.text).not.toContain(password);
    });

    it('leaves no session to who signs in with the former password at that moment', async () => {
      const { db, clock } = installation;
      const former = await reset();
      const hasher = createPasswordHasher();
      const { signIns } = createAuth({
        db,
        clock,
        ids: systemIds,
        random: systemRandom,
        auditLogs: createAuditLogs({ db, clock, ids: systemIds }),
        passwords: {
          ...hasher,
          async verify(stored, password) {
            const matches = await hasher.verify(stored, password);
            await reset();
            return matches;
          },
        },
        rootKey: new Secret(Buffer.alloc(32, 7)),
        underRootKey: db.transaction,
        tokenKey: null,
        origins: createOrigins({ baseDomain: 'localhost' }, () => 'http://127.0.0.1:8787'),
        logger: { warn: () => {} },
        onSignIn: () => {},
        mailer: { send: () => {} },
        origin: () => '',
      });
      const device = { requestId: systemIds.uuid() as RequestId, ip: '192.0.2.1', userAgent: null };
      expect(await typeOf(signIns.signIn(OWNER, new Secret(former), device))).toBe('invalid_credentials');
    });

    it('leaves second factors, says so, and removes them where they are lost', async () => {
      const { db, services } = installation;
      const { userId } = await db
        .view(accountsTables)
        .system('people')
        .selectFrom('users')
        .select('id as userId')
        .executeTakeFirstOrThrow();
      const factor = {
        user_id: userId,
        wrapped_secret: Buffer.of(1),
        created_at: 1,
        confirmed_at: 1,
        last_step: 1,
      };
      await db.view(accountsTables).system('people').insertInto('totp_factors').values(factor).execute();
      const left = await run();
      expect(left.out).toContain(
        'Its second factors stay enrolled; where they are lost, add --remove-factors',
      );
      expect(await services.auth.factors.methodsOf(userId)).toEqual(['totp']);
      const removed = await run('--remove-factors', OWNER);
      expect(removed.out).not.toContain('second factors');
      expect(await services.auth.factors.methodsOf(userId)).toEqual([]);
      const after = /^ {2}(\S{24})$/m.exec(removed.out)![1]!;
      await installation.signIn(OWNER, after);
      const { json } = await installation.call('GET', '/v1/audit-logs?action=auth.mfa.remove', {});
      const details = { method: 'all', totp: true, passkeys: 0, sandbox: false };
      expect(json['data']).toMatchObject([{ ip_address: null, details }]);
    });

    it('refuses who is no owner, and knows an owner of another tenant by name', async () => {
      expect(await run('nobody@example.com')).toEqual({
        code: 1,
        out: '',
        error: 'owner reset-password: there is no owner nobody@example.com\n',
      });
      const { accounts, db } = { ...installation.services, db: installation.db };
      const other = { id: systemIds.uuid() as TenantId, slug: 'other', name: 'other', plan: 'free' as const };
      installation.clock.advance(1);
      const owner = await accounts.prepareOwner('other@example.com', new Secret('correct horse battery'));
      await db.transaction((tx) => accounts.createTenantWithOwner(tx, other, owner));
      await reset();
      const password = await reset('other@example.com');
      await installation.signIn('other@example.com', password);
    });

    it('asks which one where the first tenant has several', async () => {
      const { db } = installation;
      const store = createAccountsStore(db);
      const id = systemIds.uuid() as UserId;
      const tenantId = (await store.findBootstrapTenantId())!;
      await db.transaction(async (tx) => {
        await store.insertUser(tx, { id, email: 'ada@example.com', passwordHash: 'unused', createdAtMs: 1 });
        await store.insertMembership(tx, tenantId, { userId: id, role: 'owner', createdAtMs: 1 });
      });
      const { code, error } = await run();
      expect([code, error]).toEqual([
        1,
        'owner reset-password: name one of the owners: ada@example.com, owner@example.com\n',
      ]);
      await installation.signIn('ada@example.com', await reset('ada@example.com'));
    });
  });
});

describe('knox-server owner', () => {
  const run = (...words: string[]) =>
    command(['owner', ...words], {
      environment: { KNOX_DATA_DIR: join(dir, 'none') },
      workingDir: dir,
      clock: createManualClock(),
    });

  it.each([[[]], [['reset']], [['reset-password', '--email']], [['reset-password', 'a', 'b']]])(
    '%j exits with 2 and its usage',
    async (words) => {
      expect(await run(...words)).toEqual({
        code: 2,
        out: '',
        error: 'knox-server owner reset-password [<email>] [--remove-factors]\n',
      });
    },
  );

  it('says where nothing is installed', async () => {
    const { code, error } = await run('reset-password');
    expect([code, error]).toEqual([1, expect.stringContaining('there is no installation at')]);
  });
});
