import type { Secret } from '../../../../kernel/secret.js';
import { scramSha256Verifier } from '../../../../platform/crypto/scram.js';
import type { EngineSession, GroupRole, MintedUser, RoleStatements } from '../engine.js';
import { type ConnectOptions, PostgresConnection, sqlState } from './connection.js';
import { dropGroupRole, ensureGroupRole } from './group-role.js';
import { aclWarnings, missingGrant } from './inspection.js';
import { createCustomUser, createTemplateUser, dropUser, mintedUsers, renewUser } from './users.js';

/** A role that does not exist. */
const UNDEFINED_OBJECT = '42704';

export async function openPostgresSession(options: ConnectOptions): Promise<EngineSession> {
  return new PostgresSession(await PostgresConnection.open(options));
}

class PostgresSession implements EngineSession {
  readonly #connection: PostgresConnection;
  #notGranted: readonly string[] = [];

  constructor(connection: PostgresConnection) {
    this.#connection = connection;
  }

  get serverVersion(): string {
    return this.#connection.serverVersion;
  }

  async ensureGroupRole(group: GroupRole): Promise<void> {
    this.#notGranted = await ensureGroupRole(this.#connection, group);
  }

  dropGroupRole(group: GroupRole): Promise<void> {
    return dropGroupRole(this.#connection, group.name);
  }

  async createUser(user: MintedUser, statements: RoleStatements): Promise<void> {
    const { group } = statements;
    if (group === null) return createCustomUser(this.#connection, user, statements);
    try {
      await createTemplateUser(this.#connection, user, group);
    } catch (error) {
      if (sqlState(error) !== UNDEFINED_OBJECT) throw error;
      // The database was away when the role was registered, or it was restored from before.
      await this.ensureGroupRole(group);
      await createTemplateUser(this.#connection, user, group);
    }
  }

  renewUser(username: string, expiresAtMs: number): Promise<void> {
    return renewUser(this.#connection, username, expiresAtMs);
  }

  dropUser(username: string, statements: RoleStatements): Promise<void> {
    return dropUser(this.#connection, username, statements);
  }

  missingGrant() {
    return missingGrant(this.#connection);
  }

  mintedUsers() {
    return mintedUsers(this.#connection);
  }

  async changeAdminPassword(next: Secret<string>): Promise<void> {
    const verifier = await scramSha256Verifier(next);
    const literal = this.#connection.literal(verifier.reveal());
    await this.#connection.batch([`ALTER ROLE CURRENT_USER PASSWORD ${literal}`], [next, verifier]);
  }

  async warnings(): Promise<readonly string[]> {
    return [...(await aclWarnings(this.#connection)), ...this.#notGranted];
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
