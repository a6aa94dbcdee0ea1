import { afterEach, expect, it } from 'vitest';
import { createExposition } from '../../../platform/telemetry/exposition.js';
import { createDynDbHarness, type DynDbHarness } from '../../../testing/dyn-db-harness.js';

let harness: DynDbHarness;
afterEach(() => harness.close());

it('a paused worker revokes nothing that was not asked for, and shows what waits', async () => {
  harness = await createDynDbHarness({ isWorkerPaused: true });
  await harness.connect('orders');
  const [due, asked] = [
    await harness.mint('orders', { ttl_seconds: 60 }),
    await harness.mint('orders', { ttl_seconds: 60 }),
  ];
  await harness.pass(61_000);
  expect(await harness.statusOf(due.lease_id)).toBe('active');
  expect((await harness.ask('POST', `/leases/${asked.lease_id}/revoke`, {})).status).toBe(200);
  const { users } = harness.databases.serverAt('orders.example.com');
  expect([...users.keys()]).toEqual([due.username]);
  await harness.pass(16_000);
  const { text } = await createExposition(harness.instruments).read();
  expect(text.split('\n')).toEqual(
    expect.arrayContaining([
      'knox_dyn_db_leases_live 1',
      'knox_dyn_db_leases_errored 0',
      'knox_dyn_db_leases_due 1',
      'knox_dyn_db_leases_late 1',
    ]),
  );
});

it('while it is paused, a lease that seems over can be renewed up to its maximum', async () => {
  harness = await createDynDbHarness({ isWorkerPaused: true });
  await harness.connect('orders', { max_ttl_seconds: 3_600 });
  const { lease_id, username } = await harness.mint('orders', { ttl_seconds: 60 });
  const renew = () => harness.ask('POST', `/leases/${lease_id}/renew`, { ttl_seconds: 600 });
  await harness.pass(61_000);
  const { status, json } = await renew();
  expect([status, json['data']]).toEqual([200, { lease_id, expires_at: '2026-01-15T09:41:01.000Z' }]);
  expect(await harness.statusOf(lease_id)).toBe('active');
  const { users } = harness.databases.serverAt('orders.example.com');
  expect(users.get(username)?.expiresAtMs).toBe(Date.parse('2026-01-15T09:41:01.000Z'));
  await harness.pass(3_540_000);
  expect((await renew()).status).toBe(409);
});
