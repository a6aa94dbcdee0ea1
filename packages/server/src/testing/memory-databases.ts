import { Socket } from 'node:net';
import { databaseError, targetUnavailable, usernameTaken } from '../capabilities/dyn-db/errors.js';
import type { Engines } from '../capabilities/dyn-db/index.js';
import type {
  Engine,
  EngineName,
  EngineSession,
  EngineTarget,
  RoleStatements,
} from '../capabilities/dyn-db/providers/engine.js';
import type { Transports } from '../capabilities/dyn-db/transports/transport.js';
import { validationError } from '../kernel/errors.js';
import type { Secret } from '../kernel/secret.js';

/** A server with its users, for tests of what stands before a database; what a database does is tried on real ones. */
export interface MemoryServer {
  readonly users: Map<string, { readonly expiresAtMs: number; readonly creation: string }>;
  readonly groups: Set<string>;
  /** By which creation texts users were dropped. */
  readonly dropped: string[];
  adminPassword: string;
  isDown: boolean;
  /** It takes calls and answers none. */
  hangs: boolean;
  /** Who waits for a log-in while it hangs: called, it lets them in. */
  readonly waiting: Set<() => void>;
  /** It logs in, and every act is begun and never ends. */
  isHanging: boolean;
  /** An act of that name, as `dropUser`, is refused. */
  refuses: string | null;
  /** Of the next users that many have a name that another's has already. */
  collisions: number;
  logIns: number;
  /** Names of all acts. */
  readonly begun: string[];
}

export interface MemoryDatabases {
  readonly engines: Engines;
  readonly transports: Transports;
  /** That of a host: each has one. */
  serverAt(host: string): MemoryServer;
}

/** The creation text of a user that was there before. */
export const ANOTHERS = 'of somebody else';

export const MEMORY_PASSWORD = 'admin-password-of-the-tests';

export function createMemoryDatabases(): MemoryDatabases {
  const servers = new Map<string, MemoryServer>();

  function serverAt(host: string): MemoryServer {
    let server = servers.get(host);
    if (!server) {
      server = {
        users: new Map(),
        groups: new Set(),
        dropped: [],
        adminPassword: MEMORY_PASSWORD,
        isDown: false,
        hangs: false,
        waiting: new Set(),
        isHanging: false,
        refuses: null,
        collisions: 0,
        logIns: 0,
        begun: [],
      };
      servers.set(host, server);
    }
    return server;
  }

  function sessionOn(server: MemoryServer, target: EngineTarget): EngineSession {
    if (server.isDown) throw targetUnavailable('down');
    server.logIns += 1;
    if (target.adminPassword.reveal() !== server.adminPassword)
      throw databaseError('28P01', 'password authentication failed');
    const act = async (name: string, run: () => void) => {
      server.begun.push(name);
      if (server.isDown) throw targetUnavailable('down');
      if (server.isHanging) await new Promise<never>(() => {});
      if (server.refuses === name) throw databaseError('42501', 'permission denied');
      run();
    };
    return {
      serverVersion: '15.0',
      ensureGroupRole: (group) => act('ensureGroupRole', () => server.groups.add(group.name)),
      dropGroupRole: (group) => act('dropGroupRole', () => server.groups.delete(group.name)),
      createUser: ({ username, expiresAtMs }, { creation }) =>
        act('createUser', () => {
          if (server.collisions > 0) {
            server.collisions -= 1;
            server.users.set(username, { expiresAtMs, creation: ANOTHERS });
            throw usernameTaken();
          }
          server.users.set(username, { expiresAtMs, creation });
        }),
      renewUser: (username, expiresAtMs) =>
        act('renewUser', () =>
          server.users.set(username, { creation: '', ...server.users.get(username), expiresAtMs }),
        ),
      dropUser: (username, { creation }) =>
        act('dropUser', () => {
          server.dropped.push(creation);
          server.users.delete(username);
        }),
      missingGrant: async () =>
        server.refuses === 'missingGrant' ? { problem: 'no CREATEROLE', hint: 'ALTER ROLE' } : null,
      mintedUsers: async () => [...server.users.keys()],
      changeAdminPassword: (next: Secret<string>) =>
        act('changeAdminPassword', () => {
          server.adminPassword = next.reveal();
        }),
      warnings: async () => [],
      close: async () => {},
    };
  }

  function engine(name: EngineName, defaultPort: number): Engine {
    return {
      name,
      defaultPort,
      usernameCharactersMax: 63,
      templateStatements: (group, database): RoleStatements => ({
        creation: `CREATE {{username}} IN ${group.name} OF ${database}`,
        revocation: 'DROP {{username}}',
        group,
      }),
      checkStatements(creation, revocation) {
        if (!creation.includes('{{username}}'))
          throw validationError('creation_sql', 'must contain {{username}}');
        if (name !== 'mongo' && !revocation.includes('{{username}}'))
          throw validationError('revocation_sql', 'must contain {{username}}');
      },
      async connect(target, _transport, signal) {
        const server = serverAt(target.host);
        if (server.hangs) await untilReleased(server, signal);
        return sessionOn(server, target);
      },
    };
  }

  return {
    engines: {
      postgres: engine('postgres', 5_432),
      mysql: engine('mysql', 3_306),
      mongo: {
        ...engine('mongo', 27_017),
        pinned: ({ creation, ...more }, database) => ({
          ...more,
          creation: creation.replace('{{database}}', String(database)),
        }),
      },
    },
    transports: {
      problem: ({ host }) => (host === '169.254.169.254' ? 'must not be a cloud metadata address' : null),
      create: () => ({
        async open({ host }) {
          if (serverAt(host).isDown) throw targetUnavailable('down');
          return new Socket();
        },
        resolve: async () => [],
        close: async () => {},
      }),
    },
    serverAt,
  };
}

/** For ever, where nobody has had enough of it or lets it in: no timer of a test stands for a connect time-out. */
function untilReleased({ waiting }: MemoryServer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    waiting.add(resolve);
    signal.addEventListener('abort', () => reject(targetUnavailable('aborted')), { once: true });
  });
}
