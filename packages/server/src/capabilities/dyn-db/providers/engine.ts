import type { Secret } from '../../../kernel/secret.js';
import type { Transport } from '../transports/transport.js';

export const ENGINES = ['postgres', 'mysql', 'mongo'] as const;
export type EngineName = (typeof ENGINES)[number];

export const TEMPLATES = ['readonly', 'readwrite'] as const;
export type TemplateName = (typeof TEMPLATES)[number];

/** With libpq's meaning for every engine (dyn-db §2.2). */
export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** A database and who logs in to it. Made for one operation; the password is nowhere else. */
export interface EngineTarget {
  readonly host: string;
  readonly port: number;
  /** Null: the engine's default, `postgres`, no schema, `admin`. */
  readonly database: string | null;
  readonly adminUsername: string;
  readonly adminPassword: Secret<string>;
  readonly sslMode: SslMode;
  /** PEM; null = the system's authorities. */
  readonly sslCa: string | null;
  /** PEM of KNOX_EXTRA_CA_FILE, which adds to the system's authorities. */
  readonly extraCa?: string | null;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** mongo only; null = the database. */
  readonly authSource: string | null;
  /** mongo only; null = one server, and the members that it advertises are ignored. */
  readonly replicaSet: string | null;
}

/** The NOLOGIN role that holds what a template grants, one for each template and database (dyn-db §3.1). */
export interface GroupRole {
  /** `kc_tpl_<template>_<8 hex>`. */
  readonly name: string;
  readonly template: TemplateName;
  /** postgres: the schemas; null = every non-system one. */
  readonly schemas: readonly string[] | null;
}

/** What a role's row stores and a lease keeps a copy of, so that editing the role strands no user. */
export interface RoleStatements {
  readonly creation: string;
  /** Empty only for mongo. */
  readonly revocation: string;
  /** Of a built-in template; null for custom statements. */
  readonly group: GroupRole | null;
}

export interface MintedUser {
  readonly username: string;
  readonly password: Secret<string>;
  /** What `Engine.verifierOf` made of the password; absent: made when it is needed. */
  readonly verifier?: Promise<Secret<string>> | undefined;
  readonly expiresAtMs: number;
}

/** A right that the admin lacks, as an operator would grant it. */
export interface MissingGrant {
  readonly problem: string;
  readonly hint: string;
}

/** One engine. Stateless; every act of it on a database is in a session. */
export interface Engine {
  readonly name: EngineName;
  readonly defaultPort: number;
  /** Longest user name it takes, characters. */
  readonly usernameCharactersMax: number;
  /** The texts that a template stands for; what the role's row shows (dyn-db §2.4). */
  templateStatements(group: GroupRole, database: string | null): RoleStatements;
  /** As a lease keeps them. Absent: they end the user also after the connection was moved to another database. */
  pinned?(statements: RoleStatements, database: string | null): RoleStatements;
  /** What the server keeps of a password, where a template's statement names that in its place. Takes a millisecond. */
  verifierOf?(password: Secret<string>): Promise<Secret<string>>;
  /** `validation_error` naming `creation_sql` or `revocation_sql` and the rule; parses, and connects to nothing. */
  checkStatements(creation: string, revocation: string): void;
  /**
   * Logs in as the admin. `ssrf_blocked`, `dependency_unavailable`, `database_error` (log-in refused, TLS refused, or a
   * log-in method that §5.1 refuses). No error carries password, DSN or rendered statement.
   */
  connect(target: EngineTarget, transport: Transport, signal: AbortSignal): Promise<EngineSession>;
}

/**
 * A log-in of the admin. Acts come one after the other; an aborted or failed one may leave its effect, so all of them
 * are idempotent but `createUser`, whose trace `dropUser` removes. Errors: `database_error` with SQLSTATE or code and
 * a redacted message; `dependency_unavailable` where the server went away or did not answer in time.
 */
export interface EngineSession {
  readonly serverVersion: string;
  /** Makes the group role with all its grants, or repairs it. */
  ensureGroupRole(group: GroupRole): Promise<void>;
  dropGroupRole(group: GroupRole): Promise<void>;
  /** `conflict` (custom postgres statements) where a table's ACL has 7 KiB or more (dyn-db §3.1). */
  createUser(user: MintedUser, statements: RoleStatements): Promise<void>;
  /** The engine's own second line of expiry (postgres VALID UNTIL); nothing where it has none. */
  renewUser(username: string, expiresAtMs: number): Promise<void>;
  /**
   * Locks, ends sessions, reassigns, drops. An absent user is success; a user that is still there afterwards is
   * `database_error`.
   */
  dropUser(username: string, statements: RoleStatements): Promise<void>;
  /** Null = the admin may create and drop users. */
  missingGrant(): Promise<MissingGrant | null>;
  /** User names that begin with `kc_user_`: for the orphan report. */
  mintedUsers(): Promise<readonly string[]>;
  changeAdminPassword(next: Secret<string>): Promise<void>;
  /** Sentences on what will go wrong later, such as a table ACL above 4 KiB. */
  warnings(): Promise<readonly string[]>;
  /** Never throws; ends the connection also where the server does not answer. */
  close(): Promise<void>;
}
