import type { Document, MongoClient } from 'mongodb';
import type { Clock } from '../../../../kernel/clock.js';
import { validationError } from '../../../../kernel/errors.js';
import { targetUnavailable } from '../../errors.js';
import type { DatabaseAddress } from '../../transports/transport.js';
import type { Engine, EngineTarget } from '../engine.js';
import { parseCreation, templateCreation } from './creation.js';
import { closeDriver, type DriverWay, openDriver, unlessAborted, within } from './driver.js';
import { failureOf } from './failures.js';
import { boundMessages } from './message-bound.js';
import { primaryOf } from './primary.js';
import { authDatabaseOf, openSession } from './session.js';

/** MongoDB sets no limit; a line of its log stays readable. */
const USERNAME_CHARACTERS_MAX = 128;

export function createMongoEngine(clock: Clock): Engine {
  boundMessages();
  return {
    name: 'mongo',
    defaultPort: 27_017,
    usernameCharactersMax: USERNAME_CHARACTERS_MAX,

    templateStatements(group, database) {
      if (database === null)
        throw validationError(
          'template',
          'needs the database_name of the connection: the roles are of one database',
        );
      return { creation: templateCreation(group.template, database), revocation: '', group };
    },

    checkStatements(creation, revocation) {
      parseCreation(creation);
      if (revocation.trim() !== '')
        throw validationError(
          'revocation_sql',
          'must be empty for mongo: the user is dropped and its sessions ended',
        );
    },

    async connect(target, transport, outer) {
      try {
        return await within(clock, target.connectTimeoutMs, outer, async (signal) => {
          const driver = await logIn(target, { transport, clock, signal });
          return openSession(driver, target, clock, signal);
        });
      } catch (error) {
        if (outer.aborted) throw outer.reason;
        throw failureOf(error);
      }
    },
  };
}

/** To the seed host or, where a set is named, to its primary: no other server hears of the credentials. */
async function logIn(target: EngineTarget, way: DriverWay): Promise<MongoClient> {
  const credentials = {
    auth: { username: target.adminUsername, password: target.adminPassword.reveal() },
    authSource: authDatabaseOf(target),
  };
  const seed = { host: target.host, port: target.port };
  const { replicaSet } = target;
  if (replicaSet === null) return openDriver(target, seed, credentials, way);
  const primary = await saidPrimary(await openDriver(target, seed, null, way), replicaSet, way);
  const driver = await openDriver(target, primary ?? seed, credentials, way);
  if ((await helloOf(driver, way)).isWritablePrimary === true) return driver;
  await closeDriver(driver, way.clock);
  throw targetUnavailable('the replica set is changing its primary');
}

async function saidPrimary(
  driver: MongoClient,
  replicaSet: string,
  way: DriverWay,
): Promise<DatabaseAddress | null> {
  const hello = await helloOf(driver, way);
  await closeDriver(driver, way.clock);
  return primaryOf(hello, replicaSet);
}

/** Ends the driver where it does not answer. */
async function helloOf(driver: MongoClient, { clock, signal }: DriverWay): Promise<Document> {
  try {
    return await unlessAborted(signal, driver.db('admin').command({ hello: 1 }, { signal }));
  } catch (error) {
    await closeDriver(driver, clock);
    throw error;
  }
}
