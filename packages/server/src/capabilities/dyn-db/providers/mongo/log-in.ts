import type { Document, MongoClient } from 'mongodb';
import type { Clock } from '../../../../kernel/clock.js';
import { targetUnavailable } from '../../errors.js';
import type { DatabaseAddress, Transport } from '../../transports/transport.js';
import type { EngineSession, EngineTarget } from '../engine.js';
import { closeDriver, type DriverWay, openDriver, unlessAborted, within } from './driver.js';
import { boundDriver } from './driver-bounds.js';
import { failureOf } from './failures.js';
import { primaryOf } from './primary.js';
import { authDatabaseOf, openSession } from './session.js';

/** `Engine.connect`. */
export async function connectMongo(
  clock: Clock,
  target: EngineTarget,
  transport: Transport,
  outer: AbortSignal,
): Promise<EngineSession> {
  boundDriver();
  try {
    return await within(clock, target.connectTimeoutMs, outer, async (signal) => {
      const driver = await logIn(target, { transport, clock, signal });
      return openSession(driver, target, clock, signal);
    });
  } catch (error) {
    if (outer.aborted) throw outer.reason;
    throw failureOf(error);
  }
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
