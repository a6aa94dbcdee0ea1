import type { Clock } from '../../../kernel/clock.js';
import { isAppError } from '../../../kernel/errors.js';
import { modeOf, type Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import type { Database } from '../../../platform/storage/database.js';
import type { EnvelopePlace, TenantKeys } from '../../kms/index.js';
import { NEXT_PASSWORD_ENVELOPE, PASSWORD_ENVELOPE } from '../envelope-columns.js';
import { targetUnavailable } from '../errors.js';
import type { Engine, EngineName, EngineSession, EngineTarget } from '../providers/engine.js';
import type { Transports } from '../transports/transport.js';
import { connectTimeoutMsOf, sslModeOf, statementTimeoutMsOf } from './options.js';
import type { Connection, ConnectionStore, Destination } from './store.js';

export type Engines = Readonly<Record<EngineName, Engine>>;

/** Of a connection that is stored, or of one that is only asked about. */
export interface Reachable extends Destination {
  readonly engine: EngineName;
}

export interface OpenDatabase {
  readonly session: EngineSession;
  /** Never throws. */
  close(): Promise<void>;
}

export interface Databases {
  /** Logs in as the admin. Never inside a transaction. Errors are those of `Engine.connect`, and `tenant_sealed`. */
  open(scope: Scope, connection: Connection, signal?: AbortSignal): Promise<OpenDatabase>;
  openAs(reachable: Reachable, password: Secret<string>, signal?: AbortSignal): Promise<OpenDatabase>;
  /** For one act, under `within`. */
  use<T>(scope: Scope, connection: Connection, act: (session: EngineSession) => Promise<T>): Promise<T>;
  /** Cuts an act off that takes longer than its parts may. */
  within<T>(connection: Pick<Destination, 'connectOptions'>, act: () => Promise<T>): Promise<T>;
  sealPassword(scope: Scope, id: string, password: Secret<string>): Promise<Buffer>;
  /** The password of a rotation: the one that was begun with, where there is one. */
  nextPassword(scope: Scope, connection: Connection): Promise<Secret<string> | null>;
  sealNextPassword(scope: Scope, id: string, password: Secret<string>): Promise<Buffer>;
}

export interface DatabasesDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly engines: Engines;
  readonly transports: Pick<Transports, 'create'>;
  readonly store: Pick<ConnectionStore, 'settlePassword'>;
  /** Of KNOX_EXTRA_CA_FILE. */
  readonly extraCa: string | null;
}

/** Log-in, and then some statements one after the other: what all acts but the worker's have. */
const STATEMENTS_OF_AN_ACT = 4;

export function actBudgetMs({ connectOptions }: Pick<Destination, 'connectOptions'>): number {
  return connectTimeoutMsOf(connectOptions) + STATEMENTS_OF_AN_ACT * statementTimeoutMsOf(connectOptions);
}

export function createDatabases(deps: DatabasesDeps): Databases {
  const { db, clock, tenantKeys, engines, transports, store, extraCa } = deps;

  async function openText(place: EnvelopePlace, envelope: Buffer): Promise<Secret<string>> {
    const plaintext = await tenantKeys.open(place, envelope);
    try {
      return new Secret(plaintext.toString('utf8'));
    } finally {
      plaintext.fill(0);
    }
  }

  async function sealText(place: EnvelopePlace, text: Secret<string>): Promise<Buffer> {
    const plaintext = Buffer.from(text.reveal(), 'utf8');
    try {
      return await tenantKeys.seal(place, plaintext);
    } finally {
      plaintext.fill(0);
    }
  }

  async function openAs(
    reachable: Reachable,
    password: Secret<string>,
    signal = new AbortController().signal,
  ): Promise<OpenDatabase> {
    const transport = transports.create(connectTimeoutMsOf(reachable.connectOptions));
    try {
      const engine = engines[reachable.engine];
      const session = await engine.connect(
        { ...targetOf(reachable, engine, password), extraCa },
        transport,
        signal,
      );
      return {
        session,
        async close() {
          await session.close();
          await transport.close();
        },
      };
    } catch (error) {
      await transport.close();
      throw error;
    }
  }

  async function nextPassword(scope: Scope, connection: Connection): Promise<Secret<string> | null> {
    const { id, nextPasswordEnvelope } = connection;
    return nextPasswordEnvelope && openText(placeOf(scope, id, NEXT_PASSWORD_ENVELOPE), nextPasswordEnvelope);
  }

  /** The rotation had come as far as the database before it was broken off. */
  async function settleRotation(
    scope: Scope,
    connection: Connection,
    password: Secret<string>,
  ): Promise<void> {
    const passwordEnvelope = await sealText(placeOf(scope, connection.id, PASSWORD_ENVELOPE), password);
    await db.transaction((tx) =>
      store.settlePassword(tx, scope, connection, passwordEnvelope, clock.nowMs()),
    );
  }

  async function open(scope: Scope, connection: Connection, signal?: AbortSignal): Promise<OpenDatabase> {
    const place = placeOf(scope, connection.id, PASSWORD_ENVELOPE);
    const password = await openText(place, connection.passwordEnvelope);
    try {
      return await openAs(connection, password, signal);
    } catch (error) {
      const next = isAppError(error, 'database_error') ? await nextPassword(scope, connection) : null;
      if (!next) throw error;
      const opened = await openAs(connection, next, signal);
      await settleRotation(scope, connection, next).catch(() => {});
      return opened;
    }
  }

  async function within<T>(
    connection: Pick<Destination, 'connectOptions'>,
    act: () => Promise<T>,
  ): Promise<T> {
    const budgetMs = actBudgetMs(connection);
    let cancel = () => {};
    const tooSlow = new Promise<never>((_resolve, reject) => {
      cancel = clock.setTimer(budgetMs, () =>
        reject(targetUnavailable(`the whole act did not end within ${budgetMs} ms`)),
      );
    });
    try {
      return await Promise.race([act(), tooSlow]);
    } finally {
      cancel();
    }
  }

  return {
    open,
    openAs,
    nextPassword,

    within,

    async use(scope, connection, act) {
      const opened = await open(scope, connection);
      try {
        return await within(connection, () => act(opened.session));
      } finally {
        await opened.close();
      }
    },

    sealPassword: (scope, id, password) => sealText(placeOf(scope, id, PASSWORD_ENVELOPE), password),
    sealNextPassword: (scope, id, password) => sealText(placeOf(scope, id, NEXT_PASSWORD_ENVELOPE), password),
  };
}

export function portOf({ port }: Destination, engine: Pick<Engine, 'defaultPort'>): number {
  return port ?? engine.defaultPort;
}

function targetOf(reachable: Reachable, engine: Engine, adminPassword: Secret<string>): EngineTarget {
  const { connectOptions: options } = reachable;
  return {
    host: reachable.host,
    port: portOf(reachable, engine),
    database: reachable.databaseName,
    adminUsername: reachable.adminUsername,
    adminPassword,
    sslMode: sslModeOf(options),
    sslCa: options.ssl_ca ?? null,
    connectTimeoutMs: connectTimeoutMsOf(options),
    statementTimeoutMs: statementTimeoutMsOf(options),
    authSource: options.authSource ?? null,
    replicaSet: options.replicaSet ?? null,
  };
}

function placeOf(
  scope: Scope,
  rowId: string,
  { table, column }: { readonly table: string; readonly column: string },
): EnvelopePlace {
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
