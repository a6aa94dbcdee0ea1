import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import { clientRow, credentialRow } from '../../testing/client-rows.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { type AssignmentStore, createAssignmentStore } from './assignments/store.js';
import {
  type Credential,
  type CredentialStore,
  createCredentialStore,
  type Evidence,
} from './credentials/store.js';
import { createMatchingStore, WINDOW_ROWS } from './matching/store.js';
import { type Client, type ClientStore, createClientStore } from './store.js';
import { migrations } from './tables.js';

const LIVE: Scope = { tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const AT = { routeId: 'cccccccc-0000-4000-8000-000000000001', environment: 'production' };
const uuid = (n: number) => `bbbbbbbb-0000-4000-8000-${String(n).padStart(12, '0')}`;

const client = (n: number, more: Partial<Client> = {}) =>
  clientRow(LIVE, uuid(n), { name: `client ${n}`, createdAtMs: n, updatedAtMs: n, ...more });

const credential = (n: number, of: Client, evidence: Evidence, more: Partial<Credential> = {}) =>
  credentialRow(of, uuid(n), evidence, { createdAtMs: n, updatedAtMs: n, ...more });

const ip = (value: string): Evidence => ({ kind: 'ip', value });
const certificate = (n: number, issued: { subject: string; serial: string } | null = null): Evidence => ({
  kind: 'mtls_thumbprint',
  sha256Thumbprint: n.toString(16).padStart(64, '0'),
  issued,
});

forEachDatabase((_name, open) => {
  let db: TestDatabase;
  let clients: ClientStore;
  let credentials: CredentialStore;
  let assignments: AssignmentStore;
  beforeEach(async () => {
    db = await open(migrations);
    clients = createClientStore(db);
    credentials = createCredentialStore(db);
    assignments = createAssignmentStore(db);
  });
  afterEach(() => db.cleanup());

  const addClient = (one: Client) => db.transaction((tx) => clients.insert(tx, one));
  const add = (one: Credential) => db.transaction((tx) => credentials.insert(tx, one));

  describe('clients', () => {
    it('come back as they were stored, in their tenant and mode alone', async () => {
      const stored = client(1, {
        type: 'user',
        ipAddress: '10.1.2.3/8',
        ipNotes: { site: ['é', null] },
        description: 'd',
        enabled: false,
        collectionId: uuid(9),
        signingSecretId: uuid(8),
        createdBy: uuid(8),
      });
      await addClient(stored);
      expect(await clients.find(LIVE, stored.id)).toEqual(stored);
      for (const scope of OTHERS) {
        expect(await clients.find(scope, stored.id)).toBeUndefined();
        expect(await clients.count(scope)).toBe(0);
        await db.transaction((tx) => clients.update(tx, { ...stored, scope, name: 'x' }));
        await db.transaction((tx) => clients.delete(tx, scope, stored.id));
      }
      expect(await clients.find(LIVE, stored.id)).toEqual(stored);
    });

    it('go with what refers to them', async () => {
      const one = client(1);
      await addClient(one);
      await add(credential(2, one, ip('10.0.0.1')));
      await db.transaction((tx) => assignments.add(tx, LIVE, AT, [one.id], 1));
      expect(await assignments.ofClient(LIVE, one.id)).toEqual([AT]);
      await db.transaction((tx) => clients.delete(tx, LIVE, one.id));
      expect(await credentials.list(LIVE, one.id)).toEqual([]);
      expect(await assignments.clientIds(LIVE, AT)).toEqual([]);
    });
  });

  describe('credentials', () => {
    it('come back as they were stored, the oldest first', async () => {
      const one = client(1);
      await addClient(one);
      const issued = certificate(7, { subject: 'CN=till', serial: '0a' });
      const all = [
        credential(2, one, ip('10.1.2.3/8'), { isOwn: true }),
        credential(3, one, certificate(6), { label: 'l', enabled: false }),
        credential(4, one, issued, { expiresAtMs: 9_000, lastMatchedAtMs: 5 }),
      ];
      for (const each of [...all].reverse()) await add(each);
      expect(await credentials.list(LIVE, one.id)).toEqual(all);
      for (const scope of OTHERS) expect(await credentials.list(scope, one.id)).toEqual([]);
    });

    it('of an equal network or of one certificate are refused by the database', async () => {
      const [one, other] = [client(1), client(2)];
      for (const each of [one, other]) await addClient(each);
      await add(credential(3, one, ip('10.1.2.3/8')));
      await expect(add(credential(4, one, ip('10.0.0.0/8')))).rejects.toMatchObject({
        type: 'conflict',
        publicMessage: 'This client has a credential of the same network',
      });
      await add(credential(5, other, ip('10.0.0.0/8')));
      await add(credential(6, one, certificate(1)));
      await expect(add(credential(7, other, certificate(1)))).rejects.toMatchObject({
        type: 'conflict',
        publicMessage: 'A client of this mode has a credential of the same certificate',
      });
      const elsewhere = client(1, { scope: OTHERS[0]! });
      await addClient(elsewhere);
      await add(credential(8, elsewhere, certificate(1)));
    });

    it('were matched last at the latest time, whichever is written last', async () => {
      const one = client(1);
      await addClient(one);
      await add(credential(2, one, ip('10.0.0.1')));
      for (const atMs of [7, 9, 8])
        await db.transaction((tx) => credentials.setLastUsed(tx, LIVE, uuid(2), atMs));
      for (const scope of OTHERS)
        await db.transaction((tx) => credentials.setLastUsed(tx, scope, uuid(2), 99));
      expect(await credentials.list(LIVE, one.id)).toMatchObject([{ lastMatchedAtMs: 9, updatedAtMs: 2 }]);
    });
  });

  describe('what the matcher reads', () => {
    it('is all of a tenant and mode, each row once over the edges of windows', async () => {
      const matching = createMatchingStore(db);
      const total = WINDOW_ROWS + 1;
      const one = client(1);
      const disabled = client(2, { enabled: false });
      for (const each of [one, disabled]) await addClient(each);
      await addClient(client(3, { scope: OTHERS[0]! }));
      // Two of each network, so that a window can end between them.
      for (let first = 0; first < total; first += 500)
        await db.transaction(async (tx) => {
          for (let n = first; n < Math.min(first + 500, total); n++) {
            const of = n % 2 === 0 ? one : disabled;
            const value = `10.0.${n >> 9}.${(n >> 1) & 255}`;
            await credentials.insert(tx, credential(10_000 + n, of, ip(value)));
            await credentials.insert(tx, credential(20_000 + n, of, certificate(n)));
          }
        });
      await db.transaction((tx) => assignments.add(tx, LIVE, AT, [one.id], 1));
      await db.transaction((tx) => assignments.add(tx, LIVE, { ...AT, environment: 'b' }, [one.id], 1));
      const all = async <Row>(windows: AsyncIterable<Row[]>) => {
        const rows: Row[] = [];
        for await (const window of windows) rows.push(...window);
        return rows;
      };
      expect(await all(matching.clients(LIVE))).toEqual([
        { signing_secret_id: null, id: one.id, name: 'client 1' },
      ]);
      const networks = await all(matching.networks(LIVE));
      expect(new Set(networks.map(({ id }) => id)).size).toBe(total);
      expect(networks).toHaveLength(total);
      const order = networks.map(({ key, id }) => `${key} ${id}`);
      expect([...order].sort()).toEqual(order);
      expect(await all(matching.thumbprints(LIVE))).toHaveLength(total);
      expect(await all(matching.assignments(LIVE))).toEqual(
        ['b', 'production'].map((environment) => ({
          route_id: AT.routeId,
          environment,
          client_id: one.id,
        })),
      );
      for (const scope of OTHERS) {
        expect(await all(matching.networks(scope))).toEqual([]);
        expect(await all(matching.assignments(scope))).toEqual([]);
      }
    }, 60_000);
  });
});
