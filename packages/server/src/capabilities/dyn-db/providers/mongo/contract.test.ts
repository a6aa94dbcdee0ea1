import type { Document, MongoClient } from 'mongodb';
import { systemClock } from '../../../../kernel/clock.js';
import { systemRandom } from '../../../../platform/crypto/random.js';
import {
  asMongoAdmin,
  asMongoUser,
  enforcesRoles,
  onMongodb,
  targetOf,
} from '../../../../testing/target-mongodb.js';
import { generatePassword } from '../../statements/password.js';
import { type Act, type EngineFixture, engineContract, type Guest } from '../engine.contract.js';
import { createMongoEngine } from './engine.js';

interface MongoGuest extends Guest {
  readonly client: MongoClient;
}

const DATABASE = `knox_contract_${process.pid}`;
const ADMIN = `${DATABASE}_admin`;
const POWERLESS = `${DATABASE}_powerless`;
const isEnforcing = await enforcesRoles(process.env.TEST_MONGODB_URL);

const act = (title: string, run: (user: MongoClient) => Promise<unknown>): Act<MongoGuest> => ({
  title,
  run: ({ client }) => run(client),
});
const items = (user: MongoClient, database = DATABASE) => user.db(database).collection('items');
const command = (document: Document) =>
  act(Object.keys(document)[0]!, (user) => user.db(DATABASE).command(document));

const READS = [
  act('find', (user) => items(user).find().toArray()),
  act('countDocuments', (user) => items(user).countDocuments()),
  act('listCollections', (user) => user.db(DATABASE).listCollections().toArray()),
];
const WRITES = [
  act('insertOne', (user) => items(user).insertOne({ at: 1 })),
  act('updateMany', (user) => items(user).updateMany({}, { $set: { at: 2 } })),
  act('deleteMany', (user) => items(user).deleteMany({ at: 3 })),
];
const REFUSED = [
  act('find in another database', (user) => items(user, 'admin').find().toArray()),
  act('insert into another database', (user) => items(user, `${DATABASE}_other`).insertOne({})),
  command({ createUser: 'kc_user_other', pwd: 'other', roles: [] }),
  command({ usersInfo: 1 }),
  command({ dropDatabase: 1 }),
  command({ grantRolesToUser: 'kc_user_other', roles: ['dbOwner'] }),
];

async function openFixture(url: string): Promise<EngineFixture<MongoGuest>> {
  const [password, powerlessPassword] = [generatePassword(systemRandom), generatePassword(systemRandom)];
  await asMongoAdmin(url, async (admin) => {
    const create = (createUser: string, pwd: string, role: string, db: string) =>
      admin.db('admin').command({ createUser, pwd, roles: [{ role, db }] });
    await create(ADMIN, password.reveal(), 'root', 'admin');
    await create(POWERLESS, powerlessPassword.reveal(), 'read', DATABASE);
    await items(admin).insertOne({ at: 0 });
  });
  const common = { ...targetOf(url, DATABASE), authSource: 'admin' };
  const target = { ...common, adminUsername: ADMIN, adminPassword: password };
  const usersOf = (db: string) =>
    asMongoAdmin(url, async (admin) => (await admin.db(db).command({ usersInfo: 1 })).users as Document[]);
  return {
    engine: createMongoEngine(systemClock),
    target,
    powerless: {
      target: { ...common, adminUsername: POWERLESS, adminPassword: powerlessPassword },
      hint: /^db\.getSiblingDB\("admin"\)\.grantRolesToUser\("\w+", \[\{"role":"userAdmin",/,
    },
    customStatements: { creation: '{"roles": ["read"]}', revocation: '' },
    acts: {
      readonly: { allowed: READS, refused: [...WRITES, ...REFUSED] },
      readwrite: { allowed: [...READS, ...WRITES], refused: REFUSED },
    },
    rolesNotEnforced: isEnforcing ? null : 'the server does not enforce roles',
    expiresByItself: false,
    ownership: null,
    async logIn(username, userPassword) {
      const client = await asMongoUser(target, DATABASE, username, userPassword.reveal());
      return { client, end: () => client.close() };
    },
    userExists: async (username) => (await usersOf(DATABASE)).some(({ user }) => user === username),
    makeHalfUser: (username) =>
      asMongoAdmin(url, async (admin) => {
        await admin.db(DATABASE).command({ createUser: username, pwd: 'half', roles: [] });
      }),
    groupRoleExists: async () => false,
    cleanup: () =>
      asMongoAdmin(url, async (admin) => {
        for (const name of [ADMIN, POWERLESS]) await admin.db('admin').command({ dropUser: name });
        await admin.db(DATABASE).dropDatabase();
      }),
  };
}

onMongodb((url) => engineContract('the engine mongo', () => openFixture(url)));
