import { Socket } from 'node:net';
import { databaseError, targetUnavailable } from '../capabilities/dyn-db/errors.js';
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
  readonly users: Map<string, { readonly expiresAtMs: number }>;
  readonly groups: Set<string>;
  adminPassword: string;
  isDown: boolean;
  /** An act of that name, as `dropUser`, is refused. */
  refuses: string | null;
  logIns: number;
}

export interface MemoryDatabases {
  readonly engines: Engines;
  readonly transports: Transports;
  /** That of a host: each has one. */
  serverAt(host: string): MemoryServer;
}

export const MEMORY_PASSWORD = 'admin-password-of-the-tests';

export function createMemoryDatabases(): MemoryDatabases {
  const servers = new Map<string, MemoryServer>();

  function serverAt(host: string): MemoryServer {
    let server = servers.get(host);
    if (!server) {
      server = {
        users: new Map(),
        groups: new Set(),
        adminPassword: MEMORY_PASSWORD,
        isDown: false,
        refuses: null,
        logIns: 0,
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
      if (server.isDown) throw targetUnavailable('down');
      if (server.refuses === name) throw databaseError('42501', 'permission denied');
      run();
    };
    return {
      serverVersion: '15.0',
      ensureGroupRole: (group) => act('ensureGroupRole', () => server.groups.add(group.name)),
      dropGroupRole: (group) => act('dropGroupRole', () => server.groups.delete(group.name)),
      createUser: ({ username, expiresAtMs }) =>
        act('createUser', () => server.users.set(username, { expiresAtMs })),
      renewUser: (username, expiresAtMs) =>
        act('renewUser', () => server.users.set(username, { expiresAtMs })),
      dropUser: (username) => act('dropUser', () => server.users.delete(username)),
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
      connect: async (target) => sessionOn(serverAt(target.host), target),
    };
  }

  return {
    engines: {
      postgres: engine('postgres', 5_432),
      mysql: engine('mysql', 3_306),
      mongo: engine('mongo', 27_017),
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
