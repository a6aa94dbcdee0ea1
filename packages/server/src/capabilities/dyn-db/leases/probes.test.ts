import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createDynDbHarness, type DynDbHarness } from '../../../testing/dyn-db-harness.js';
import type { MemoryServer } from '../../../testing/memory-databases.js';

let harness: DynDbHarness;
let server: MemoryServer;
beforeEach(async () => {
  harness = await createDynDbHarness();
  await harness.connect('orders');
  server = harness.databases.serverAt('orders.example.com');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await harness.close();
});

/** When the next call looks the host up, which is after it has read the connection and before it makes a user. */
function deleteTheConnectionMeanwhile(): void {
  const { transports } = harness.databases;
  const { create } = transports;
  vi.spyOn(transports, 'create').mockImplementationOnce((timeoutMs) => ({
    ...create(timeoutMs),
    async resolve() {
      expect((await harness.ask('DELETE', '/orders')).status).toBe(200);
      return [];
    },
  }));
}

it.each([
  ['a test', '/orders/test', undefined],
  ['the check of a new role', '/orders/roles?verify=true', { name: 'writer', template: 'readwrite' }],
] as const)('%s makes no user of a connection that was deleted meanwhile', async (_what, path, body) => {
  deleteTheConnectionMeanwhile();
  // Of a user that was made nobody would know any more.
  server.refuses = 'dropUser';
  const { json } = await harness.ask('POST', path, body);
  expect(JSON.stringify(json)).toContain('Connection not found');
  expect([...server.users.keys()]).toEqual([]);
  await harness.pass(120_000);
  const { text } = await harness.ask('GET', '/leases?status=all');
  expect(JSON.parse(text).data.total).toBe(0);
});

it('a test whose drawn name is taken says so, and does not drop the one that has it', async () => {
  server.collisions = 1;
  const { json } = await harness.ask('POST', '/orders/test');
  expect(JSON.stringify(json)).toContain('a user of the drawn name exists already');
  await harness.pass(120_000);
  expect(server.users.size).toBe(1);
  expect(server.dropped).toEqual([]);
});
