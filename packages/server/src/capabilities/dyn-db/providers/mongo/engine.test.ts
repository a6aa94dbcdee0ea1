import type { Document, MongoClient } from 'mongodb';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import type { AppError } from '../../../../kernel/errors.js';
import { systemRandom } from '../../../../platform/crypto/random.js';
import { startRelay } from '../../../../testing/relay.js';
import {
  asMongoAdmin,
  asMongoUser,
  enforcesRoles,
  onMongodb,
  recordingTransport,
  targetOf,
} from '../../../../testing/target-mongodb.js';
import { generateUsername } from '../../statements/names.js';
import { generatePassword } from '../../statements/password.js';
import type { EngineSession, EngineTarget, MintedUser, RoleStatements, TemplateName } from '../engine.js';
import { createMongoEngine } from './engine.js';

const DATABASE = `knox_test_${process.pid}`;
const OTHER_DATABASE = `${DATABASE}_other`;
const engine = createMongoEngine(systemClock);
const never = () => new AbortController().signal;
const isEnforcing = await enforcesRoles(process.env.TEST_MONGODB_URL);

onMongodb((url) => {
  const target = targetOf(url, DATABASE);
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await asMongoAdmin(url, async (admin) => {
      for (const name of [DATABASE, OTHER_DATABASE]) {
        for (const { user } of await usersOf(admin, name)) await admin.db(name).command({ dropUser: user });
        await admin.db(name).dropDatabase();
      }
    });
  });

  async function session(changes: Partial<EngineTarget> = {}): Promise<EngineSession> {
    const opened = await engine.connect({ ...target, ...changes }, recordingTransport(), never());
    closers.push(() => opened.close());
    return opened;
  }

  async function usersOf(admin: MongoClient, database: string): Promise<Document[]> {
    return (await admin.db(database).command({ usersInfo: 1 })).users;
  }

  const storedUsers = (database = DATABASE) => asMongoAdmin(url, (admin) => usersOf(admin, database));

  const templateOf = (template: TemplateName): RoleStatements =>
    engine.templateStatements({ name: `kc_tpl_${template}_0`, template, schemas: null }, DATABASE);
  const custom = (creation: object): RoleStatements => ({
    creation: JSON.stringify(creation),
    revocation: '',
    group: null,
  });

  async function mint(admin: EngineSession, statements: RoleStatements): Promise<MintedUser> {
    const user = {
      username: generateUsername(systemRandom),
      password: generatePassword(systemRandom),
      expiresAtMs: Date.now() + 60_000,
    };
    await admin.createUser(user, statements);
    return user;
  }

  async function logIn(user: MintedUser, database = DATABASE): Promise<MongoClient> {
    const guest = await asMongoUser(target, database, user.username, user.password.reveal());
    closers.push(() => guest.close());
    return guest;
  }

  async function refusal(act: Promise<unknown>): Promise<AppError> {
    return act.then(
      () => expect.fail('was not refused'),
      (thrown: AppError) => thrown,
    );
  }

  describe('a minted user', () => {
    it.each([
      ['readonly', 'read'],
      ['readwrite', 'readWrite'],
    ] as const)('of %s is stored with the role %s alone, logs in, and is gone', async (template, role) => {
      const admin = await session();
      const statements = templateOf(template);
      const user = await mint(admin, statements);
      expect(await storedUsers()).toEqual([
        expect.objectContaining({
          user: user.username,
          db: DATABASE,
          roles: [{ role, db: DATABASE }],
          mechanisms: expect.arrayContaining(['SCRAM-SHA-256']),
        }),
      ]);
      const guest = await logIn(user);
      expect(await guest.db(DATABASE).collection('orders').find().toArray()).toEqual([]);
      await expect(logIn({ ...user, password: generatePassword(systemRandom) })).rejects.toThrow();
      await admin.dropUser(user.username, statements);
      await expect(logIn(user)).rejects.toThrow();
      expect(await storedUsers()).toEqual([]);
    });

    it('of a custom document has the roles that it names, where it names them', async () => {
      const admin = await session();
      const statements = custom({
        db: OTHER_DATABASE,
        roles: ['dbAdmin', { role: 'read', db: '{{database}}' }],
      });
      const user = await mint(admin, statements);
      const [stored] = await storedUsers(OTHER_DATABASE);
      expect(stored).toMatchObject({ user: user.username, db: OTHER_DATABASE });
      expect(stored?.roles).toHaveLength(2);
      expect(stored?.roles).toEqual(
        expect.arrayContaining([
          { role: 'dbAdmin', db: OTHER_DATABASE },
          { role: 'read', db: DATABASE },
        ]),
      );
      await logIn(user, OTHER_DATABASE);
      await admin.dropUser(user.username, statements);
      expect(await storedUsers(OTHER_DATABASE)).toEqual([]);
    });

    it('whose name is taken is refused, and the one that has it keeps its password', async () => {
      const admin = await session();
      const user = await mint(admin, templateOf('readonly'));
      const second = { ...user, password: generatePassword(systemRandom) };
      const error = await refusal(admin.createUser(second, templateOf('readwrite')));
      expect(error).toMatchObject({ type: 'database_error', reason: 'username_taken' });
      expect(JSON.stringify([error, error.stack])).not.toContain(second.password.reveal());
      await logIn(user);
    });

    it('is told of by the report of orphans, in whichever database it is', async () => {
      const admin = await session();
      const here = await mint(admin, templateOf('readonly'));
      const there = await mint(admin, custom({ db: OTHER_DATABASE, roles: ['read'] }));
      const found = await admin.mintedUsers();
      expect(found).toEqual(expect.arrayContaining([here.username, there.username]));
      expect(found.filter((name) => !name.startsWith('kc_user_'))).toEqual([]);
    });
  });

  describe('the drop', () => {
    it('of an absent user is success, and so is the second', async () => {
      const admin = await session();
      const user = await mint(admin, templateOf('readonly'));
      await admin.dropUser(user.username, templateOf('readonly'));
      await admin.dropUser(user.username, templateOf('readonly'));
      await admin.dropUser(generateUsername(systemRandom), templateOf('readonly'));
    });

    it('by two at once is success for both', async () => {
      const [one, two] = [await session(), await session()];
      const user = await mint(one, templateOf('readonly'));
      await Promise.all([one, two].map((admin) => admin.dropUser(user.username, templateOf('readonly'))));
      expect(await storedUsers()).toEqual([]);
    });

    it('finds a user that was made before the connection was moved to another database', async () => {
      const statements = custom({ roles: ['read'] });
      const user = await mint(await session(), statements);
      await (await session({ database: OTHER_DATABASE })).dropUser(user.username, statements);
      expect(await storedUsers()).toEqual([]);
    });
  });

  describe('the admin', () => {
    it('hears which version it is, lacks nothing, and is warned of nothing that would be a fault', async () => {
      const admin = await session();
      expect(admin.serverVersion).toMatch(/^\d+\.\d+/);
      expect(await admin.missingGrant()).toBe(null);
      expect(await admin.warnings()).toEqual([]);
      await admin.ensureGroupRole({ name: 'kc_tpl_readonly_0', template: 'readonly', schemas: null });
      await admin.dropGroupRole({ name: 'kc_tpl_readonly_0', template: 'readonly', schemas: null });
      await admin.renewUser('kc_user_x', Date.now());
    });

    it.each([
      { adminPassword: generatePassword(systemRandom) },
      { adminUsername: 'nobody' },
      { authSource: 'no' },
    ])('that does not log in is told so', async (changes) => {
      expect(await refusal(session(changes))).toMatchObject({ type: 'database_error', reason: '18' });
    });

    it('takes another password', async () => {
      const roles = ['userAdminAnyDatabase', 'clusterMonitor'].map((role) => ({ role, db: 'admin' }));
      const creation = custom({ db: OTHER_DATABASE, roles });
      const user = await mint(await session(), creation);
      const own = { adminUsername: user.username, authSource: OTHER_DATABASE };
      const next = generatePassword(systemRandom);
      await (await session({ ...own, adminPassword: user.password })).changeAdminPassword(next);
      expect((await refusal(session({ ...own, adminPassword: user.password }))).type).toBe('database_error');
      await session({ ...own, adminPassword: next });
    });
  });

  describe('a server that falls silent', () => {
    it('is given up, at the connect, at an act and at the close, and one that is gone is unavailable', async () => {
      const relay = await startRelay(target);
      closers.push(() => relay.close());
      const changes = { port: relay.port, connectTimeoutMs: 2_000, statementTimeoutMs: 500 };
      const [idle, busy] = [await session(changes), await session(changes)];
      relay.silence();
      expect((await refusal(busy.mintedUsers())).type).toBe('dependency_unavailable');
      expect((await refusal(busy.mintedUsers())).type).toBe('dependency_unavailable');
      expect((await refusal(session(changes))).type).toBe('dependency_unavailable');
      const startedAt = performance.now();
      await Promise.all([idle.close(), busy.close()]);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      await relay.refuse();
      expect((await refusal(session(changes))).type).toBe('dependency_unavailable');
      await relay.restore();
    });
  });

  const reason = isEnforcing ? '' : ' (skipped: the server does not enforce roles)';
  describe.skipIf(!isEnforcing)(`what a role may do${reason}`, () => {
    const orders = (user: MongoClient, database = DATABASE) => user.db(database).collection('orders');
    const READS: readonly [string, (user: MongoClient) => Promise<unknown>][] = [
      ['find', (user) => orders(user).find().toArray()],
      ['count', (user) => orders(user).countDocuments()],
      ['listCollections', (user) => user.db(DATABASE).listCollections().toArray()],
    ];
    const WRITES: typeof READS = [
      ['insert', (user) => orders(user).insertOne({ at: 1 })],
      ['update', (user) => orders(user).updateMany({}, { $set: { at: 2 } })],
      ['delete', (user) => orders(user).deleteMany({ at: 3 })],
    ];
    const NEVER: typeof READS = [
      ['find in another database', (user) => orders(user, OTHER_DATABASE).find().toArray()],
      ['insert in another database', (user) => orders(user, OTHER_DATABASE).insertOne({})],
      ['createUser', (user) => user.db(DATABASE).command({ createUser: 'x', pwd: 'x', roles: [] })],
      ['usersInfo', (user) => user.db(DATABASE).command({ usersInfo: 1 })],
      ['dropDatabase', (user) => user.db(DATABASE).dropDatabase()],
      ['grantRolesToUser', (user) => user.db(DATABASE).command({ grantRolesToUser: 'x', roles: ['root'] })],
    ];

    it.each([
      ['readonly', READS, [...WRITES, ...NEVER]],
      ['readwrite', [...READS, ...WRITES], NEVER],
    ] as const)('%s allows what it says and nothing beyond', async (template, allowed, refused) => {
      const admin = await session();
      const guest = await logIn(await mint(admin, templateOf(template)));
      for (const [title, act] of allowed) await expect(act(guest), title).resolves.not.toThrow();
      for (const [title, act] of refused) await expect(act(guest), title).rejects.toMatchObject({ code: 13 });
    });

    it('ends with the user on connections that are open, and on an operation that runs', async () => {
      const admin = await session();
      const statements = templateOf('readwrite');
      const user = await mint(admin, statements);
      const guest = await logIn(user);
      await orders(guest).insertMany(Array.from({ length: 500 }, (_, at) => ({ at })));
      const cursor = orders(guest).find({}, { batchSize: 2 });
      await cursor.next();
      await admin.dropUser(user.username, statements);
      await expect(cursor.toArray()).rejects.toThrow();
      await expect(orders(guest).find().toArray()).rejects.toThrow();
    });

    it('an admin without the rights is told which it lacks, and may not mint', async () => {
      const admin = await session();
      const weak = await mint(admin, custom({ roles: ['readWrite'] }));
      const own = await session({
        adminUsername: weak.username,
        adminPassword: weak.password,
        authSource: DATABASE,
      });
      expect(await own.missingGrant()).toMatchObject({
        problem: expect.stringContaining('createUser, dropUser, grantRole'),
        hint: `db.getSiblingDB("${DATABASE}").grantRolesToUser("${weak.username}", [{"role":"userAdmin","db":"${DATABASE}"}])`,
      });
      expect(await refusal(mint(own, templateOf('readonly')))).toMatchObject({
        type: 'database_error',
        reason: '13',
      });
    });

    it('an admin of this database alone does all of it', async () => {
      const admin = await session();
      const local = await mint(admin, custom({ roles: ['userAdmin'] }));
      const own = await session({
        adminUsername: local.username,
        adminPassword: local.password,
        authSource: DATABASE,
      });
      expect(await own.missingGrant()).toBe(null);
      expect(await own.warnings()).toEqual([expect.stringContaining('killAnySession')]);
      const user = await mint(own, templateOf('readonly'));
      expect(await own.mintedUsers()).toContain(user.username);
      await own.dropUser(user.username, templateOf('readonly'));
      await own.dropUser(user.username, templateOf('readonly'));
      await expect(logIn(user)).rejects.toThrow();
    });
  });
});
