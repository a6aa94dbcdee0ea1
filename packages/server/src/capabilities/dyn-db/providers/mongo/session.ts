import type { Document, MongoClient } from 'mongodb';
import type { Clock } from '../../../../kernel/clock.js';
import type { Secret } from '../../../../kernel/secret.js';
import { usernameTaken } from '../../errors.js';
import type { EngineSession, EngineTarget, MintedUser, MissingGrant, RoleStatements } from '../engine.js';
import { ADMIN_DATABASE, resolveCreation } from './creation.js';
import { closeDriver, unlessAborted, within } from './driver.js';
import { CODES, failureOf, hasCode } from './failures.js';
import { type Privileges, readPrivileges, USER_ACTIONS } from './privileges.js';

const MINTED = /^kc_user_/;
/** Longer than any that is made, and no name of a user. */
const NOBODY = 'kc_nobody_'.padEnd(160, '0');
const VERSION_CHARACTERS_MAX = 100;

interface NamedUser {
  readonly user: string;
  readonly db: string;
}

function isNamedUser(value: unknown): value is NamedUser {
  const { user, db } = (value ?? {}) as Partial<NamedUser>;
  return typeof user === 'string' && typeof db === 'string';
}

export function authDatabaseOf(target: EngineTarget): string {
  return target.authSource ?? target.database ?? ADMIN_DATABASE;
}

/** Ends the driver where it does not come to a session. */
export async function openSession(
  driver: MongoClient,
  target: EngineTarget,
  clock: Clock,
  ending: AbortSignal,
): Promise<EngineSession> {
  try {
    const buildInfo = driver.db(ADMIN_DATABASE).command({ buildInfo: 1 }, { signal: ending });
    const { version } = await unlessAborted(ending, buildInfo);
    return createSession(driver, target, clock, String(version));
  } catch (error) {
    await closeDriver(driver, clock);
    throw error;
  }
}

function createSession(
  driver: MongoClient,
  target: EngineTarget,
  clock: Clock,
  version: string,
): EngineSession {
  const database = target.database ?? ADMIN_DATABASE;

  /** Throws the driver's error: some acts expect one. */
  const run = (db: string, command: Document): Promise<Document> =>
    within(clock, target.statementTimeoutMs, null, (signal) =>
      unlessAborted(signal, driver.db(db).command(command, { signal })),
    );
  const told = (db: string, command: Document): Promise<Document> =>
    run(db, command).catch((error) => {
      throw failureOf(error);
    });

  /** Without a majority a change of primary could bring a dropped user back. */
  const writeConcern = { w: 'majority', wtimeout: target.statementTimeoutMs };

  /** Of every database, or of the connection's where the admin may see no others. */
  async function usersMatching(user: string | RegExp): Promise<readonly NamedUser[]> {
    try {
      return await usersOf(ADMIN_DATABASE, { forAllDBs: true }, user);
    } catch (error) {
      if (!hasCode(error, CODES.unauthorized)) throw failureOf(error);
    }
    try {
      return await usersOf(database, 1, user);
    } catch (error) {
      throw failureOf(error);
    }
  }

  async function usersOf(
    db: string,
    usersInfo: unknown,
    user: string | RegExp,
  ): Promise<readonly NamedUser[]> {
    const { users } = await run(db, { usersInfo, filter: { user } }).catch((error) => {
      if (!hasCode(error, CODES.notImplemented)) throw error;
      return run(db, { usersInfo });
    });
    const matches = (name: string) => (typeof user === 'string' ? name === user : user.test(name));
    const named: readonly unknown[] = Array.isArray(users) ? users : [];
    return named.filter(isNamedUser).filter((found) => matches(found.user));
  }

  /** Whether the user was there. */
  async function dropFrom(db: string, username: string): Promise<boolean> {
    try {
      await run(db, { dropUser: username, writeConcern });
      return true;
    } catch (error) {
      if (hasCode(error, CODES.userNotFound)) return false;
      throw failureOf(error);
    }
  }

  /**
   * Ends the operations and cursors of the user everywhere. Its connections stay, and may do nothing: a server looks a
   * connection's user up again at the next command once the user has changed, at once where the drop was run.
   */
  async function endSessions(db: string, username: string): Promise<void> {
    try {
      await run(ADMIN_DATABASE, { killAllSessions: [{ user: username, db }] });
    } catch (error) {
      const { unauthorized, commandNotFound, commandNotSupported, notImplemented, atlas } = CODES;
      // The user is gone already; an admin without this right must not keep its lease from ending.
      if (!hasCode(error, unauthorized, commandNotFound, commandNotSupported, notImplemented, atlas))
        throw failureOf(error);
    }
  }

  async function privileges(): Promise<Privileges | null> {
    return readPrivileges(await told(ADMIN_DATABASE, { connectionStatus: 1, showPrivileges: true }));
  }

  /** For a server that does not tell privileges: rights are judged before the name is looked for. */
  async function mayDropUsers(): Promise<boolean> {
    try {
      await run(database, { dropUser: NOBODY });
    } catch (error) {
      if (hasCode(error, CODES.userNotFound)) return true;
      if (hasCode(error, CODES.unauthorized)) return false;
      throw failureOf(error);
    }
    return true;
  }

  function grantOf(actions: readonly string[]): MissingGrant {
    const account = `db.getSiblingDB(${JSON.stringify(authDatabaseOf(target))})`;
    const role = JSON.stringify({ role: 'userAdmin', db: database });
    return {
      problem: `The admin lacks ${actions.join(', ')} on database ${JSON.stringify(database)}`,
      hint: `${account}.grantRolesToUser(${JSON.stringify(target.adminUsername)}, [${role}])`,
    };
  }

  return {
    serverVersion: /^[\w.+-]+/.exec(version)?.[0].slice(0, VERSION_CHARACTERS_MAX) ?? 'unknown',

    // A user of MongoDB holds the names of its roles, and these are built in: nothing grows with the number of users
    // that a group role would keep small.
    async ensureGroupRole() {},
    async dropGroupRole() {},

    async createUser({ username, password }: MintedUser, { creation }: RoleStatements) {
      const { db, roles } = resolveCreation(creation, database);
      await run(db, { createUser: username, pwd: password.reveal(), roles, writeConcern }).catch((error) => {
        throw hasCode(error, CODES.userExists) ? usernameTaken() : failureOf(error);
      });
    },

    // MongoDB knows no users that expire.
    async renewUser() {},

    async dropUser(username: string, { creation }: RoleStatements) {
      const { db } = resolveCreation(creation, database);
      let homes = [db];
      if (!(await dropFrom(db, username))) {
        // Gone already, or made before the connection was moved to another database.
        const elsewhere = (await usersMatching(username)).map((found) => found.db);
        for (const other of elsewhere) await dropFrom(other, username);
        homes = [...new Set([db, ...elsewhere])];
      }
      for (const home of homes) await endSessions(home, username);
    },

    async missingGrant() {
      const known = await privileges();
      if (!known) return (await mayDropUsers()) ? null : grantOf(USER_ACTIONS);
      const lacking = USER_ACTIONS.filter((action) => !known.may(action, database));
      return lacking.length === 0 ? null : grantOf(lacking);
    },

    async mintedUsers() {
      return (await usersMatching(MINTED)).map(({ user }) => user);
    },

    async changeAdminPassword(next: Secret<string>) {
      await told(authDatabaseOf(target), {
        updateUser: target.adminUsername,
        pwd: next.reveal(),
        writeConcern,
      });
    },

    async warnings() {
      const found: string[] = [];
      const known = await privileges();
      if (known && !known.mayOnCluster('killAnySession'))
        found.push(
          'The admin lacks killAnySession on the cluster (role hostManager): a long operation of a user goes on until it ends, although its lease has ended',
        );
      const { msg } = await told(ADMIN_DATABASE, { hello: 1 });
      if (msg === 'isdbgrid')
        found.push(
          'This is a sharded cluster: other mongos than this one may honour a dropped user for as long as userCacheInvalidationIntervalSecs says (30 s unless changed)',
        );
      return found;
    },

    close: () => closeDriver(driver, clock),
  };
}
