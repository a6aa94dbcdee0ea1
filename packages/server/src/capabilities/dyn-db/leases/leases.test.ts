import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TestAnswer } from '../../../testing/calls.js';
import { connectionBody, createDynDbHarness, type DynDbHarness } from '../../../testing/dyn-db-harness.js';
import { MEMORY_PASSWORD, type MemoryServer } from '../../../testing/memory-databases.js';
import { CALLS_OF_CONNECTION_MAX } from '../connections/crowd.js';

let harness: DynDbHarness;
let server: MemoryServer;
beforeEach(async () => {
  harness = await createDynDbHarness();
  await harness.connect('orders');
  server = harness.databases.serverAt('orders.example.com');
});
afterEach(() => harness.close());

const ask: DynDbHarness['ask'] = (...call) => harness.ask(...call);
const dataOf = ({ json }: TestAnswer) => json['data'];
const refusal = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];
const users = () => [...server.users.keys()];

async function audits(action: string) {
  const path = `/v1/audit-logs?per_page=100&action=${action}`;
  return (await harness.call('GET', path, { key: harness.tenant.live })).json['data'];
}

describe('a mint', () => {
  it('of what the caller may not mint of tells nothing of what there is', async () => {
    const caller = harness.callerOf(harness.tenant, 'live');
    const may = (_: string, resource?: string) => resource === 'orders/reader';
    const narrow = { ...caller, principal: { ...caller.principal, may } };
    await harness.connect('stock');
    for (const connection of ['stock', 'none'])
      await expect(harness.dynDb.leases.mint(narrow, connection, 'reader', null)).rejects.toMatchObject({
        type: 'forbidden',
      });
    await expect(harness.dynDb.leases.mint(narrow, 'orders', 'reader', null)).resolves.toBeDefined();
  });

  it('makes a user and a lease, and shows the password once', async () => {
    const answer = await ask('POST', '/orders/creds/reader', { ttl_seconds: 600 });
    expect(answer.headers['cache-control']).toBe('no-store');
    const minted = dataOf(answer);
    expect(minted).toEqual({
      username: expect.stringMatching(/^kc_user_[a-z0-9]{20}$/),
      password: expect.stringMatching(/^[A-Za-z0-9]{32}$/),
      expires_at: '2026-01-15T09:40:00.000Z',
      lease_id: expect.any(Number),
      connection_name: 'orders',
      role_name: 'reader',
    });
    expect(users()).toEqual([minted.username]);
    expect(dataOf(await ask('GET', '/leases'))).toEqual({
      leases: [
        {
          id: minted.lease_id,
          status: 'active',
          expires_at: minted.expires_at,
          issued_at: '2026-01-15T09:30:00.000Z',
          username: minted.username,
          connection_name: 'orders',
          role_name: 'reader',
          engine: 'postgres',
          actor: harness.tenant.live.keyId,
        },
      ],
      total: 1,
      limit: 100,
      offset: 0,
    });
    const [row] = await audits('dyn_db.credential.mint');
    expect(row).toMatchObject({ resource_type: 'dyn_db_lease', resource_id: String(minted.lease_id) });
    expect(row.details).toMatchObject({
      ttl_seconds: 600,
      ttl_seconds_asked: 600,
      username: minted.username,
    });
    expect(JSON.stringify([row, harness.logLines])).not.toContain(minted.password);
  });

  it('takes no body, an empty one, and any time', async () => {
    const expiry = async (body?: unknown) =>
      Date.parse(dataOf(await ask('POST', '/orders/creds/reader', body)).expires_at) - harness.clock.nowMs();
    expect(await expiry()).toBe(3_600_000);
    expect(await expiry({})).toBe(3_600_000);
    expect(await expiry({ ttl_seconds: 0 })).toBe(3_600_000);
    expect(await expiry({ ttl_seconds: -1 })).toBe(3_600_000);
    expect(await expiry({ ttl_seconds: 1 })).toBe(1_000);
    expect(await expiry({ ttl_seconds: 172_800 })).toBe(86_400_000);
    expect(await expiry({ ttl_seconds: Number.MAX_SAFE_INTEGER })).toBe(86_400_000);
    for (const ttl_seconds of [1.5, '60', true, []])
      expect(refusal(await ask('POST', '/orders/creds/reader', { ttl_seconds }))).toEqual([
        400,
        'validation_error',
      ]);
  });

  it('repeated with its key makes no second user, and shows the same password', async () => {
    const mint = () =>
      harness.call('POST', '/v1/dyn-db-credentials/orders/creds/reader', {
        key: harness.tenant.live,
        headers: { 'x-idempotency-key': 'one' },
      });
    const first = await mint();
    const second = await mint();
    expect([second.text, second.headers['x-idempotent-replay']]).toEqual([first.text, 'true']);
    expect(users()).toHaveLength(1);
  });

  it('whose drawn name is taken draws another, and the one that has it stays as it is', async () => {
    server.collisions = 2;
    const { username, lease_id } = dataOf(await ask('POST', '/orders/creds/reader', {}));
    const others = users().filter((name) => name !== username);
    expect(others).toHaveLength(2);
    expect(dataOf(await ask('GET', '/leases?status=all'))).toMatchObject({
      total: 1,
      leases: [{ id: lease_id }],
    });
    await harness.pass(7_200_000);
    expect(await harness.statusOf(lease_id)).toBe('expired');
    expect(users()).toEqual(others);
    expect(await audits('dyn_db.lease.revoke')).toEqual([]);
  });

  it('that draws only names that are taken is 502, drops none of them, and leaves no lease', async () => {
    server.collisions = 3;
    expect(refusal(await ask('POST', '/orders/creds/reader', {}))).toEqual([502, 'database_error']);
    await harness.pass(300_000);
    expect(users()).toHaveLength(3);
    expect(server.dropped).toEqual([]);
    expect(dataOf(await ask('GET', '/leases?status=all')).total).toBe(0);
  });

  it('beyond those that a database that hangs may have under way is 503 at once, and another database answers', async () => {
    await harness.connect('stock');
    server.hangs = true;
    const waiting = Array.from({ length: CALLS_OF_CONNECTION_MAX }, () =>
      ask('POST', '/orders/creds/reader', {}),
    );
    await vi.waitFor(() => expect(server.waiting.size).toBe(CALLS_OF_CONNECTION_MAX), { timeout: 20_000 });
    const answer = await ask('POST', '/orders/creds/reader', {});
    expect(refusal(answer)).toEqual([503, 'dependency_unavailable']);
    expect(answer.headers['retry-after']).toBe('5');
    expect((await ask('POST', '/stock/creds/reader', {})).status).toBe(200);
    server.hangs = false;
    for (const release of server.waiting) release();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(
      Array(CALLS_OF_CONNECTION_MAX).fill(200),
    );
    expect((await ask('POST', '/orders/creds/reader', {})).status).toBe(200);
    expect(dataOf(await ask('GET', '/leases')).total).toBe(CALLS_OF_CONNECTION_MAX + 2);
  });

  it('that fails half-way leaves no user, and ends its lease with one row', async () => {
    server.refuses = 'createUser';
    expect(refusal(await ask('POST', '/orders/creds/reader', {}))).toEqual([502, 'database_error']);
    expect(users()).toEqual([]);
    expect(dataOf(await ask('GET', '/leases?status=all')).leases).toMatchObject([{ status: 'revoked' }]);
    expect(await audits('dyn_db.lease.revoke')).toHaveLength(1);
  });

  it('on a database that is away is 503 and leaves nothing', async () => {
    server.isDown = true;
    const answer = await ask('POST', '/orders/creds/reader', {});
    expect(refusal(answer)).toEqual([503, 'dependency_unavailable']);
    expect(answer.headers['retry-after']).toBeDefined();
    expect(dataOf(await ask('GET', '/leases?status=all')).total).toBe(0);
    server.isDown = false;
    expect((await ask('DELETE', '/orders')).status).toBe(200);
  });

  it('is refused while the connection is disabled, beyond its limit, and of what is not there', async () => {
    await ask('PATCH', '/orders', { max_live_leases: 1 });
    const { lease_id } = await harness.mint('orders');
    expect(refusal(await ask('POST', '/orders/creds/reader', {}))).toEqual([402, 'plan_limit']);
    await ask('PATCH', '/orders', { enabled: false });
    expect(refusal(await ask('POST', '/orders/creds/reader', {}))).toEqual([409, 'connection_disabled']);
    expect((await ask('POST', `/leases/${lease_id}/revoke`, {})).status).toBe(200);
    expect(refusal(await ask('POST', '/orders/creds/none', {}))).toEqual([404, 'not_found']);
    expect(refusal(await ask('POST', '/none/creds/reader', {}))).toEqual([404, 'not_found']);
    expect(users()).toEqual([]);
  });

  it('names its user by the template', async () => {
    await ask('PATCH', '/orders/roles/reader', {
      username_template: '{{role}}_{{actor}}',
      max_live_leases: 1,
    });
    expect((await harness.mint('orders')).username).toMatch(/^kc_user_reader_tk_live_[a-z0-9_]+$/);
    expect(refusal(await ask('POST', '/orders/creds/reader', {}))).toEqual([402, 'plan_limit']);
  });
});

describe('the list of leases', () => {
  it('is a page, the newest first, with bounds that clamp', async () => {
    const minted: number[] = [];
    for (let time = 0; time < 3; time += 1) minted.unshift((await harness.mint('orders')).lease_id);
    const page = async (query: string) => {
      const { leases, ...more } = dataOf(await ask('GET', `/leases?${query}`));
      return [leases.map(({ id }: { id: number }) => id), more];
    };
    expect(await page('limit=2')).toEqual([minted.slice(0, 2), { total: 3, limit: 2, offset: 0 }]);
    expect(await page('limit=2&offset=2')).toEqual([minted.slice(2), { total: 3, limit: 2, offset: 2 }]);
    expect((await page('limit=0'))[1]).toMatchObject({ limit: 1 });
    expect((await page('limit=501'))[1]).toMatchObject({ limit: 500 });
    expect(await page('connection=none')).toEqual([[], { total: 0, limit: 100, offset: 0 }]);
    expect((await page(`actor=${harness.tenant.live.keyId}&role=reader`))[0]).toEqual(minted);
    for (const query of ['limit=x', 'limit=1.5', 'offset=-1', 'state=pending', 'status=ended'])
      expect(refusal(await ask('GET', `/leases?${query}`))).toEqual([400, 'validation_error']);
  });
});

describe('an expiry', () => {
  it('drops the user at its time, with one row, which a test lease has too', async () => {
    const minted = await harness.mint('orders', { ttl_seconds: 60 });
    const later = await harness.mint('orders', { ttl_seconds: 90 });
    await harness.pass(59_000);
    expect(users()).toHaveLength(2);
    await harness.pass(2_000);
    expect(users()).toEqual([later.username]);
    expect(await harness.statusOf(minted.lease_id)).toBe('expired');
    expect(dataOf(await ask('GET', '/leases')).total).toBe(1);
    const rows = await audits('dyn_db.lease.expire');
    expect(rows).toHaveLength(1);
    expect(rows[0].details).toMatchObject({ lease_id: minted.lease_id, sandbox: false, space: 'live' });
  });

  it('within seconds of the mint is not missed', async () => {
    const { lease_id } = await harness.mint('orders', { ttl_seconds: 1 });
    await harness.pass(2_000);
    expect(await harness.statusOf(lease_id)).toBe('expired');
  });

  it('of a user that is gone already is one all the same', async () => {
    const { lease_id } = await harness.mint('orders', { ttl_seconds: 60 });
    server.users.clear();
    await harness.pass(61_000);
    expect(await harness.statusOf(lease_id)).toBe('expired');
  });

  it('on a database that is away is tried on, told of at the fifth time, and done when it is back', async () => {
    const { lease_id } = await harness.mint('orders', { ttl_seconds: 60 });
    server.isDown = true;
    await harness.pass(61_000);
    expect(dataOf(await ask('GET', `/leases/${lease_id}`))).toMatchObject({
      status: 'active',
      revoke_attempts: 1,
      last_error: expect.stringContaining('dependency_unavailable'),
      end_cause: null,
    });
    await harness.pass(400_000);
    expect(await harness.statusOf(lease_id)).toBe('errored');
    expect(await audits('dyn_db.lease.errored')).toHaveLength(1);
    expect(dataOf(await ask('GET', '/leases?state=errored')).total).toBe(1);
    expect((await ask('DELETE', '/orders')).json['error']['message']).toContain(
      'has 1 active credential lease(s)',
    );
    server.isDown = false;
    // A change of the connection is reason to try at once.
    await ask('PATCH', '/orders', { default_ttl_seconds: 120 });
    await harness.pass(1_000);
    expect(await harness.statusOf(lease_id)).toBe('expired');
    expect(users()).toEqual([]);
    expect(await audits('dyn_db.lease.expire')).toHaveLength(1);
  });

  it('that one user refuses keeps no other waiting', async () => {
    const stuck = await harness.mint('orders', { ttl_seconds: 60 });
    server.refuses = 'dropUser';
    await harness.pass(61_000);
    server.refuses = null;
    await harness.connect('stock');
    const other = await harness.mint('stock', { ttl_seconds: 1 });
    await harness.pass(2_000);
    expect(await harness.statusOf(other.lease_id)).toBe('expired');
    expect(await harness.statusOf(stuck.lease_id)).toBe('active');
    await harness.pass(12_000);
    expect(await harness.statusOf(stuck.lease_id)).toBe('expired');
  });

  it('is nothing to a change or an end of its role', async () => {
    const { lease_id } = await harness.mint('orders', { ttl_seconds: 60 });
    const own = { creation_sql: '{{username}}', revocation_sql: 'nonsense {{username}}' };
    expect((await ask('PATCH', '/orders/roles/reader', own)).status).toBe(200);
    await harness.pass(61_000);
    expect(await harness.statusOf(lease_id)).toBe('expired');
  });
});

it('a lease is ended as it was made, though its role and its connection were changed during the mint and after', async () => {
  const of = { engine: 'mongo', database_name: 'shop' };
  await harness.ask('POST', '', connectionBody('docs', of));
  const statements = (tag: string) => ({
    creation_sql: `${tag} {{username}} of {{database}}`,
    revocation_sql: '',
  });
  await harness.ask('POST', '/docs/roles', { name: 'reader', ...statements('first') });
  const { transaction } = harness.db;
  vi.spyOn(harness.db, 'transaction').mockImplementationOnce(async (run) => {
    await ask('PATCH', '/docs/roles/reader', statements('second'));
    return transaction(run);
  });
  const caller = harness.callerOf(harness.tenant, 'live');
  const { leaseId, username } = await harness.dynDb.leases.mint(caller, 'docs', 'reader', 60);
  const docs = harness.databases.serverAt('docs.example.com');
  expect(docs.users.get(username)?.creation).toBe('first {{username}} of shop');
  expect((await ask('PATCH', '/docs', { database_name: 'other' })).status).toBe(200);
  expect((await ask('POST', `/leases/${leaseId}/revoke`, {})).status).toBe(200);
  expect(docs.dropped).toEqual(['first {{username}} of shop']);
});

describe('a revocation', () => {
  it('drops the user now, and twice is as once', async () => {
    const { lease_id } = await harness.mint('orders');
    for (let time = 0; time < 2; time += 1)
      expect(dataOf(await ask('POST', `/leases/${lease_id}/revoke`, {}))).toEqual({ revoked: lease_id });
    expect(users()).toEqual([]);
    expect(await harness.statusOf(lease_id)).toBe('revoked');
    expect(await audits('dyn_db.lease.revoke')).toHaveLength(1);
  });

  it('of a database that is away is 503, and done when it is back', async () => {
    const { lease_id } = await harness.mint('orders');
    server.isDown = true;
    const answer = await ask('POST', `/leases/${lease_id}/revoke`, {});
    expect(refusal(answer)).toEqual([503, 'dependency_unavailable']);
    expect(answer.headers['retry-after']).toBeDefined();
    expect(await audits('dyn_db.lease.revoke_failed')).toHaveLength(1);
    // That it was asked for is not lost.
    const asked = dataOf(await ask('GET', `/leases/${lease_id}`));
    expect(asked).toMatchObject({ status: 'active', end_cause: 'revoked' });
    server.isDown = false;
    await harness.pass(40_000);
    expect(await harness.statusOf(lease_id)).toBe('revoked');
    expect(users()).toEqual([]);
    expect(await audits('dyn_db.lease.revoke')).toHaveLength(1);
  });

  it('with force ends the lease of a database that is gone, and names the user', async () => {
    const { lease_id, username } = await harness.mint('orders');
    server.isDown = true;
    expect((await ask('POST', `/leases/${lease_id}/revoke`, { force: true })).status).toBe(200);
    const forgotten = dataOf(await ask('GET', `/leases/${lease_id}`));
    expect(forgotten).toMatchObject({ status: 'revoked', end_cause: 'forgotten', next_attempt_at: null });
    expect((await audits('dyn_db.lease.force_forget'))[0].details).toMatchObject({ username });
    server.isDown = false;
    expect(dataOf(await ask('GET', '/orders/orphans'))).toEqual({ orphans: [username] });
  });

  it('of many is accepted and then done', async () => {
    await harness.connect('stock');
    const [a, b, c] = [
      await harness.mint('orders'),
      await harness.mint('orders'),
      await harness.mint('stock'),
    ];
    expect(dataOf(await ask('POST', '/leases/revoke', { connection: 'orders' }))).toEqual({ accepted: 2 });
    expect(dataOf(await ask('POST', '/leases/revoke', { connection: 'none' }))).toEqual({ accepted: 0 });
    await harness.pass(1_000);
    expect(await Promise.all([a, b, c].map(({ lease_id }) => harness.statusOf(lease_id)))).toEqual([
      'revoked',
      'revoked',
      'active',
    ]);
    expect(refusal(await ask('POST', '/leases/revoke', {}))).toEqual([400, 'validation_error']);
    expect(dataOf(await ask('POST', '/leases/revoke', { ids: [c.lease_id] }))).toEqual({ accepted: 1 });
  });
});

describe('a renewal', () => {
  it('lets the lease and its user live longer, up to the maximum', async () => {
    const { lease_id, username } = await harness.mint('orders', { ttl_seconds: 60 });
    await harness.pass(30_000);
    const renewed = dataOf(await ask('POST', `/leases/${lease_id}/renew`, { ttl_seconds: 300 }));
    expect(renewed).toEqual({ lease_id, expires_at: '2026-01-15T09:35:30.000Z' });
    expect(server.users.get(username)?.expiresAtMs).toBe(Date.parse(renewed.expires_at));
    await harness.pass(60_000);
    expect(await harness.statusOf(lease_id)).toBe('active');
    expect(
      dataOf(await ask('POST', `/leases/${lease_id}/renew`, { ttl_seconds: 1_000_000 })).expires_at,
    ).toBe('2026-01-16T09:30:00.000Z');
    expect(await audits('dyn_db.lease.renew')).toHaveLength(2);
  });

  it('that fails leaves the lease as it was; five in a row are told', async () => {
    const { lease_id } = await harness.mint('orders', { ttl_seconds: 600 });
    server.refuses = 'renewUser';
    for (let time = 0; time < 4; time += 1)
      expect(refusal(await ask('POST', `/leases/${lease_id}/renew`, {}))).toEqual([502, 'database_error']);
    expect(await harness.statusOf(lease_id)).toBe('active');
    await ask('POST', `/leases/${lease_id}/renew`, {});
    expect(await harness.statusOf(lease_id)).toBe('errored');
    server.refuses = null;
    expect(refusal(await ask('POST', `/leases/${lease_id}/renew`, {}))).toEqual([409, 'conflict']);
    await harness.pass(590_000);
    expect(users()).toHaveLength(1);
    await harness.pass(12_000);
    expect(users()).toEqual([]);
  });

  it('of one that has ended is 409', async () => {
    const { lease_id } = await harness.mint('orders');
    await ask('POST', `/leases/${lease_id}/revoke`, {});
    expect(refusal(await ask('POST', `/leases/${lease_id}/renew`, {}))).toEqual([409, 'conflict']);
  });
});

describe('a rotation of the admin password', () => {
  it('gives it one that nobody knows, with which all goes on', async () => {
    expect(dataOf(await ask('POST', '/orders/rotate-admin-password'))).toEqual({ rotated: 'orders' });
    expect(server.adminPassword).not.toBe(MEMORY_PASSWORD);
    await harness.mint('orders');
    expect(await audits('dyn_db.connection.rotate_admin_password')).toHaveLength(1);
    expect(harness.logLines.join('')).not.toContain(server.adminPassword);
  });

  it('that was broken off is made good by the next log-in, or by the next rotation', async () => {
    server.refuses = 'changeAdminPassword';
    expect(refusal(await ask('POST', '/orders/rotate-admin-password'))).toEqual([502, 'database_error']);
    await harness.mint('orders');
    server.refuses = null;
    expect((await ask('POST', '/orders/rotate-admin-password')).status).toBe(200);
    await harness.mint('orders');
  });
});
