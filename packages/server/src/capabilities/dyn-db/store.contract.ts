import { beforeEach, describe, expect, it } from 'vitest';
import type { DbConnectionId, DbRoleId, Scope, TenantId } from '../../kernel/ids.js';
import { type Database, ReferenceViolation } from '../../platform/storage/database.js';
import { type Connection, type ConnectionStore, createConnectionStore } from './connections/store.js';
import { createRoleStore, type Role, type RoleStore } from './roles/store.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

function connection(n: number, more: Partial<Connection> = {}): Connection {
  return {
    id: uuid(n) as DbConnectionId,
    name: `db-${n}`,
    engine: 'postgres',
    executionMode: 'direct',
    host: 'db.example.com',
    port: null,
    databaseName: 'app',
    adminUsername: 'admin',
    passwordEnvelope: Buffer.from([n]),
    nextPasswordEnvelope: null,
    defaultTtlSeconds: 3_600,
    maxTtlSeconds: 86_400,
    connectOptions: { sslmode: 'verify-full' },
    usernameTemplate: null,
    maxLiveLeases: null,
    enabled: true,
    createdAtMs: n,
    updatedAtMs: n,
    ...more,
  };
}

function role(n: number, connectionNumber: number, more: Partial<Role> = {}): Role {
  return {
    id: uuid(1_000 + n) as DbRoleId,
    connectionId: uuid(connectionNumber) as DbConnectionId,
    name: `role-${n}`,
    statements: {
      creation: 'create',
      revocation: 'revoke',
      group: { name: 'kc_tpl_readonly_0000000a', template: 'readonly', schemas: ['public'] },
    },
    isGroupMade: false,
    defaultTtlSeconds: null,
    maxTtlSeconds: 600,
    usernameTemplate: '{{actor}}',
    maxLiveLeases: 5,
    createdAtMs: n,
    updatedAtMs: n,
    ...more,
  };
}

export function recordStoreContract(open: () => Promise<Database>): void {
  let db: Database;
  let connections: ConnectionStore;
  let roles: RoleStore;
  const addConnection = (row: Connection, scope = LIVE) =>
    db.transaction((tx) => connections.insert(tx, scope, row));
  const addRole = (row: Role, scope = LIVE) => db.transaction((tx) => roles.insert(tx, scope, row));
  beforeEach(async () => {
    db = await open();
    connections = createConnectionStore(db);
    roles = createRoleStore(db);
  });

  describe('a connection', () => {
    it('is found by name and by id in its own tenant and mode alone', async () => {
      await addConnection(connection(1));
      expect(await connections.find(LIVE, 'db-1')).toEqual(connection(1));
      expect(await connections.findById(LIVE, connection(1).id)).toEqual(connection(1));
      for (const scope of OTHERS) {
        expect(await connections.find(scope, 'db-1')).toBeUndefined();
        expect(await connections.findById(scope, connection(1).id)).toBeUndefined();
        expect(await connections.list(scope)).toEqual([]);
        await db.transaction((tx) => connections.delete(tx, scope, connection(1).id));
        await db.transaction((tx) => connections.update(tx, scope, connection(1).id, { host: 'x' }, 9));
      }
      expect(await connections.list(LIVE)).toEqual([connection(1)]);
    });

    it('has a name of its own, which another mode may have too', async () => {
      await addConnection(connection(1));
      for (const scope of OTHERS) await addConnection(connection(1), scope);
      await expect(addConnection(connection(2, { name: 'db-1' }))).rejects.toMatchObject({
        type: 'conflict',
      });
      expect(await db.transaction((tx) => connections.count(LIVE, tx))).toBe(1);
    });

    it('keeps what a change does not name', async () => {
      await addConnection(connection(1));
      const change = (changes: Parameters<ConnectionStore['update']>[3]) =>
        db.transaction((tx) => connections.update(tx, LIVE, connection(1).id, changes, 50));
      await change({ enabled: false, port: 6432, nextPasswordEnvelope: Buffer.from('next') });
      await change({ connectOptions: {}, port: null, maxLiveLeases: 3 });
      expect(await connections.find(LIVE, 'db-1')).toEqual(
        connection(1, {
          enabled: false,
          nextPasswordEnvelope: Buffer.from('next'),
          connectOptions: {},
          maxLiveLeases: 3,
          updatedAtMs: 50,
        }),
      );
    });
  });

  describe('a role', () => {
    it('is found under its connection, in its own tenant and mode alone', async () => {
      await addConnection(connection(1));
      await addConnection(connection(2));
      await addRole(role(1, 1));
      const custom = role(2, 1, { statements: { creation: 'c', revocation: 'r', group: null } });
      await addRole(custom);
      expect(await roles.find(LIVE, connection(1).id, 'role-1')).toEqual(role(1, 1));
      expect(await roles.find(LIVE, connection(1).id, 'role-2')).toEqual(custom);
      expect(await roles.find(LIVE, connection(2).id, 'role-1')).toBeUndefined();
      for (const scope of OTHERS) expect(await roles.list(scope, connection(1).id)).toEqual([]);
      expect(await roles.list(LIVE, connection(1).id)).toEqual([role(1, 1), custom]);
    });

    it('has a name of its own within its connection, which is there', async () => {
      await addConnection(connection(1));
      await addConnection(connection(2));
      await addRole(role(1, 1));
      await addRole(role(2, 2, { name: 'role-1' }));
      await expect(addRole(role(3, 1, { name: 'role-1' }))).rejects.toMatchObject({ type: 'conflict' });
      await expect(addRole(role(4, 9))).rejects.toThrow(ReferenceViolation);
    });

    it('is changed, and goes with its connection', async () => {
      await addConnection(connection(1));
      await addRole(role(1, 1));
      await addRole(role(2, 1));
      const statements = { creation: 'c', revocation: 'r', group: null };
      await db.transaction(async (tx) => {
        await roles.update(tx, LIVE, role(1, 1).id, { statements, maxTtlSeconds: null }, 70);
        await roles.setGroupMade(tx, LIVE, connection(1).id, 'kc_tpl_readonly_0000000a', true);
      });
      expect(await roles.list(LIVE, connection(1).id)).toEqual([
        role(1, 1, { statements, maxTtlSeconds: null, updatedAtMs: 70 }),
        role(2, 1, { isGroupMade: true }),
      ]);
      await expect(db.transaction((tx) => connections.delete(tx, LIVE, connection(1).id))).rejects.toThrow(
        ReferenceViolation,
      );
      await db.transaction(async (tx) => {
        await roles.deleteAllOf(tx, LIVE, connection(1).id);
        await connections.delete(tx, LIVE, connection(1).id);
      });
      expect(await connections.list(LIVE)).toEqual([]);
    });
  });
}
