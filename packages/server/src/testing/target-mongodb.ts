import { MongoClient } from 'mongodb';
import { describe } from 'vitest';
import type { EngineTarget } from '../capabilities/dyn-db/providers/engine.js';
import type { Transport } from '../capabilities/dyn-db/transports/transport.js';
import { AppError } from '../kernel/errors.js';
import { parseIpAddress } from '../kernel/ip-address.js';
import { Secret } from '../kernel/secret.js';
import { engineTarget } from './targets.js';

/** The server of TEST_MONGODB_URL; suites share it and keep to names of their own. */
export function onMongodb(suite: (url: string) => void): void {
  const url = process.env.TEST_MONGODB_URL;
  const run = url ? describe : describe.skip;
  run(`on MongoDB${url ? '' : ' (skipped: TEST_MONGODB_URL is not set)'}`, () =>
    suite(url ?? 'mongodb://localhost'),
  );
}

/** Where the database that the URL names is the one that its user is of. */
export function targetOf(url: string, database: string | null): EngineTarget {
  const { hostname, port, username, password, pathname } = new URL(url);
  return engineTarget({
    host: hostname,
    port: Number(port || '27017'),
    database,
    adminUsername: decodeURIComponent(username),
    adminPassword: new Secret(decodeURIComponent(password)),
    sslMode: 'disable',
    authSource: pathname.slice(1) || 'admin',
  });
}

export async function asMongoAdmin<T>(url: string, act: (admin: MongoClient) => Promise<T>): Promise<T> {
  const admin = new MongoClient(url, { directConnection: true });
  try {
    return await act(admin);
  } finally {
    await admin.close();
  }
}

/** A log-in with the driver, as an application has it. Rejects where it is refused. */
export async function asMongoUser(
  { host, port }: EngineTarget,
  database: string,
  username: string,
  password: string,
): Promise<MongoClient> {
  const user = new MongoClient(`mongodb://${host}:${port}/`, {
    auth: { username, password },
    authSource: database,
    directConnection: true,
  });
  try {
    return await user.connect();
  } catch (error) {
    await user.close();
    throw error;
  }
}

/** Makes a user that may only read, and tries to insert as it: not every server of the protocol knows roles. */
export async function enforcesRoles(url: string | undefined): Promise<boolean> {
  if (!url) return false;
  const database = `knox_probe_${process.pid}`;
  const username = 'knox_probe';
  const password = 'knox-probe-1';
  return asMongoAdmin(url, async (admin) => {
    const db = admin.db(database);
    await db.command({ createUser: username, pwd: password, roles: [{ role: 'read', db: database }] });
    const user = await asMongoUser(targetOf(url, database), database, username, password);
    try {
      return await user
        .db(database)
        .collection('probe')
        .insertOne({})
        .then(
          () => false,
          () => true,
        );
    } finally {
      await user.close();
      await db.command({ dropUser: username });
      await db.dropDatabase();
    }
  });
}

export interface RecordingTransport extends Transport {
  /** What was asked for, as `host:port`. */
  readonly judged: string[];
}

/** Every name is this machine; a link-local address is refused as the policy does. */
export function recordingTransport(): RecordingTransport {
  const judged: string[] = [];
  return {
    judged,
    open: () => Promise.reject(new Error('the driver dials by itself')),
    async resolve({ host, port }) {
      judged.push(`${host}:${port}`);
      if (host.startsWith('169.254.')) throw new AppError('ssrf_blocked', 'The target is not allowed');
      return [parseIpAddress('127.0.0.1')!];
    },
    close: () => Promise.resolve(),
  };
}
