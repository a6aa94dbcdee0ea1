import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TABLES_KEPT, TENANT_TABLES } from '../../app/tenant-tables.js';
import type { RequestId, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { systemIds } from '../../platform/crypto/random.js';
import { forEachDatabase, storedRows } from '../../testing/databases.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { freshName } from '../../testing/route-sample.js';
import { KINDS, ROUTE_SAMPLES } from '../../testing/route-samples.js';
import { stepUpWith } from '../../testing/step-up.js';
import { createMember, join, OWNER_PASSWORD } from '../../testing/tenants.js';
import { accountsTables } from '../accounts/tables.js';
import { kmsTables } from '../kms/tables.js';
import { createTenants } from './service.js';

const DAY_MS = 86_400_000;

forEachDatabase((name, open) => {
  let rig: MatrixRig;
  let token: string;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
    token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
  });
  afterAll(() => rig.close());

  const ask = (method: string, path: string, body?: unknown, as = token) =>
    rig.ask(method, path, { token: as, ...(body === undefined ? {} : { body }) });
  async function make(slug: string, as = token): Promise<TenantId> {
    const { status, json } = await ask('POST', '/admin/tenants', { name: `The ${slug}`, slug }, as);
    expect([slug, status]).toEqual([slug, 201]);
    return json['data'].id;
  }
  async function remove(id: TenantId, slug: string, as = token) {
    const stepUp = await stepUpWith({ ...rig.services, db: rig.db }, as, id);
    const headers = { 'x-tenant-id': id };
    return rig.ask('DELETE', `/admin/tenants/${id}`, { token: as, stepUp, headers, body: { slug } });
  }
  const shown = ({ status, json }: { status: number; json: { error?: { type: string } } }) => [
    status,
    json.error?.type,
  ];
  /** As the job would, until there is nothing that need not wait. */
  async function runRemoval(rowsMax = 1_000): Promise<number> {
    let steps = 0;
    while ((await rig.services.tenantRemoval.step(rowsMax)).hasMore) steps += 1;
    return steps;
  }

  describe('a new tenant', () => {
    it('is free, its maker is its Owner, and it can seal at once', async () => {
      const id = await make('initech');
      const headers = { 'x-tenant-id': id };
      const { json } = await rig.ask('GET', `/admin/tenants/${id}`, { token });
      expect(json['data']).toMatchObject({
        id,
        slug: 'initech',
        name: 'The initech',
        plan: 'free',
        role: 'owner',
      });
      const vault = await rig.ask('POST', '/admin/vaults', {
        token,
        headers,
        body: { name: 'v', token_format: 'generic', custody_mode: 'managed' },
      });
      expect(vault.status).toBe(201);
      const rows = await rig.ask('GET', '/admin/audit-logs?action=tenant.create', { token, headers });
      expect(rows.json['data']).toMatchObject([
        { resource_id: id, details: { slug: 'initech', plan: 'free' } },
      ]);
      const list = await rig.ask('GET', '/admin/tenants', { token });
      expect(list.json['data'].map((row: { slug: string }) => row.slug)).toEqual(['acme', 'initech']);
    });

    it.each([
      ['', 400],
      ['a b', 400],
      ['api', 400],
      ['sandbox-x', 400],
      ['globex', 409],
    ])('is not called %j', async (slug, status) => {
      expect((await ask('POST', '/admin/tenants', { name: 'n', slug })).status).toBe(status);
    });

    it('has a name of its own, also where two ask for it at once', async () => {
      const bodies = [1, 2, 3].map(() => ask('POST', '/admin/tenants', { name: 'n', slug: 'twice' }));
      const statuses = (await Promise.all(bodies)).map(({ status }) => status);
      expect(statuses.sort()).toEqual([201, 409, 409]);
    });

    it('is read by its members and the operator alone', async () => {
      const other = await rig.signIn(rig.other.ownerEmail, OWNER_PASSWORD);
      expect(shown(await ask('GET', `/admin/tenants/${rig.tenant.id}`, undefined, other))).toEqual([
        404,
        'not_found',
      ]);
      expect(shown(await ask('GET', '/admin/tenants/nothing', undefined))).toEqual([404, 'not_found']);
    });
  });

  it('a user makes at most a hundred a day, also where it deletes them again', async () => {
    const email = await createMember(
      { ...rig, ids: systemIds },
      rig.tenant,
      'developer',
      'maker@acme.example',
    );
    const asMaker = await rig.signIn(email, OWNER_PASSWORD);
    const userId = await rig.services.accounts.findUserId(email);
    await make('first-of-many', asMaker);
    await rig.db.transaction((tx) =>
      rig.db
        .view(accountsTables)
        .system('people', tx)
        .updateTable('sign_in_attempts')
        .set({ attempts: LIMITS.tenantsMadeMax })
        .where('subject_hash', '=', sha256(`tenants\0${userId}`))
        .execute(),
    );
    const body = { name: 'n', slug: 'one-too-many' };
    const refused = await ask('POST', '/admin/tenants', body, asMaker);
    expect(shown(refused)).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.headers['retry-after']).toBe('86400');
    await make('of-another');
  });

  describe('its slug', () => {
    const patch = (id: TenantId, body: unknown) =>
      rig.ask('PATCH', `/admin/tenants/${id}`, { token, headers: { 'x-tenant-id': id }, body });

    it('changes with its host, and the former one is kept from others and free for itself', async () => {
      const id = await make('before');
      const changed = await patch(id, { slug: 'after', name: 'Later' });
      expect(changed.json['data']).toMatchObject({ slug: 'after', name: 'Later' });
      const headers = { 'x-tenant-id': id };
      const { json } = await rig.ask('GET', '/admin/audit-logs?resource_type=tenant', { token, headers });
      const rows = json['data'].map(({ action, details }: { action: string; details: object }) => [
        action,
        details,
      ]);
      expect(rows).toContainEqual([
        'tenant.slug_change',
        expect.objectContaining({ from: 'before', to: 'after' }),
      ]);
      expect(rows).toContainEqual(['tenant.update', expect.objectContaining({ name: 'Later' })]);
      expect((await rig.ask('GET', '/admin/api-keys', { token, host: 'after.localhost' })).status).toBe(200);
      expect((await rig.ask('GET', '/admin/api-keys', { token, host: 'before.localhost' })).status).toBe(404);
      expect((await ask('POST', '/admin/tenants', { name: 'n', slug: 'before' })).status).toBe(409);
      expect((await patch(id, { slug: 'before' })).status).toBe(200);
      expect((await patch(id, { slug: 'globex' })).status).toBe(409);
      expect((await patch(id, { slug: 'www' })).status).toBe(400);
    });

    it('changes ten times in 90 days, so that no tenant takes the names of all', async () => {
      const id = await make('greedy-0');
      const to = async (n: number) => (await patch(id, { slug: `greedy-${n}` })).status;
      for (let n = 1; n <= 10; n++) expect([n, await to(n)]).toEqual([n, 200]);
      expect(await to(11)).toBe(409);
      expect(await to(0)).toBe(200);
      expect(await to(11)).toBe(409);
    });

    it('is not for the operator of another tenant to change', async () => {
      const answer = await rig.call('PATCH', `/admin/tenants/${rig.tenant.id}`, { body: { name: 'x' } });
      expect([answer.status, answer.json['error']?.['type']]).toEqual([403, 'forbidden']);
    });
  });

  describe('a deletion', () => {
    it('wants an Owner, a fresh step-up, and the slug', async () => {
      const id = await make('careful');
      const people = { ...rig, ids: systemIds };
      const admin = await createMember(people, { ...rig.tenant, id, slug: 'careful' }, 'admin');
      const asAdmin = await rig.signIn(admin, OWNER_PASSWORD);
      const headers = { 'x-tenant-id': id };
      const body = { slug: 'careful' };
      const path = `/admin/tenants/${id}`;
      expect(shown(await remove(id, 'careful', asAdmin))).toEqual([403, 'forbidden']);
      expect(shown(await remove(id, 'other'))).toEqual([400, 'validation_error']);
      expect(shown(await rig.ask('DELETE', path, { token, headers, body }))).toEqual([
        401,
        'step_up_required',
      ]);
      const stepUp = await stepUpWith({ ...rig.services, db: rig.db }, token, id);
      rig.clock.advance(121_000);
      const late = await rig.ask('DELETE', path, { token, headers, body, stepUp });
      expect(shown(late)).toEqual([401, 'step_up_expired']);
      expect((await rig.ask('GET', path, { token })).status).toBe(200);
    });

    it('takes no step-up of another tenant, nor one of none', async () => {
      const id = await make('bound');
      for (const tenantId of [rig.tenant.id, null]) {
        const stepUp = await stepUpWith({ ...rig.services, db: rig.db }, token, tenantId);
        const named = tenantId && { headers: { 'x-tenant-id': tenantId } };
        const call = { token, stepUp, ...named, body: { slug: 'bound' } };
        expect(shown(await rig.ask('DELETE', `/admin/tenants/${id}`, call))).toEqual([403, 'forbidden']);
      }
      expect((await ask('GET', `/admin/tenants/${id}`)).status).toBe(200);
    });

    it('is not of who is no Owner any more when it comes to it', async () => {
      const { accounts } = rig.services;
      const id = await make('contested');
      const { user, sessionId } = await rig.services.sessions.authenticate(token);
      const tenants = createTenants({
        ...rig,
        ...rig.services,
        accounts: {
          ...accounts,
          // The other Owner is faster.
          async bootstrapTenantId(tx) {
            await rig.db
              .view(accountsTables)
              .scoped({ tenantId: id }, tx!)
              .updateTable('memberships')
              .set({ role: 'viewer' })
              .execute();
            return accounts.bootstrapTenantId(tx);
          },
        },
        ids: systemIds,
        tenantKeys: rig.services.kms,
        isSignupOn: false,
        wakeRemoval: () => {},
      });
      const caller = { userId: user.id, sessionId, tenantId: id, requestId: 'r' as RequestId, ip: null };
      await expect(tenants.delete(caller, id, 'contested')).rejects.toMatchObject({ type: 'forbidden' });
      expect((await ask('GET', `/admin/tenants/${id}`)).status).toBe(200);
    });

    it('is not of the tenant of the first start', async () => {
      const owner = await rig.signIn(rig.owner.email, rig.owner.password);
      const { json } = await rig.ask('GET', '/admin/tenants', { token: owner });
      const [{ id, slug }] = json['data'];
      expect(shown(await remove(id, slug, owner))).toEqual([409, 'conflict']);
    });

    it('ends every credential at once, in every process, and the operator can read that it was', async () => {
      const id = await make('umbrella');
      const headers = { 'x-tenant-id': id };
      const made = await rig.ask('POST', '/admin/api-keys', { token, headers, body: { name: 'k' } });
      const key = made.json['data']['api_key'];
      const guest = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'viewer').catch(
        () => 'viewer@acme.example',
      );
      await join(rig, guest, id, 'viewer');
      const asGuest = await rig.signIn(guest, OWNER_PASSWORD);
      expect((await rig.ask('GET', '/v1/api-keys', { key })).status).toBe(200);
      expect((await remove(id, 'umbrella')).status).toBe(200);
      expect(shown(await rig.ask('GET', '/v1/api-keys', { key }))).toEqual([401, 'invalid_api_key']);
      expect(shown(await rig.ask('GET', '/v1/api-keys', { key, host: 'umbrella.localhost' }))).toEqual([
        404,
        'tenant_not_found',
      ]);
      for (const user of [token, asGuest])
        expect((await rig.ask('GET', '/admin/api-keys', { token: user, headers })).status).toBe(404);
      expect(shown(await remove(id, 'umbrella'))).toEqual([404, 'not_found']);
      expect((await ask('POST', '/admin/tenants', { name: 'n', slug: 'umbrella' })).status).toBe(409);
      const rows = await rig.call('GET', '/admin/audit-logs?action=tenant.delete', {});
      expect(rows.json['data'][0]).toMatchObject({ resource_id: id, details: { slug: 'umbrella' } });
    });

    it('removes every row, in steps that may be broken off anywhere, and leaves all others', async () => {
      const { id, slug } = rig.other;
      const [doomed, own] = [rig.other, rig.tenant].map((one) => rig.world('admin', one, 'live'));
      for (const { make: makeOne } of Object.values(KINDS))
        for (const world of [doomed!, own!]) await makeOne(world, freshName());
      await ROUTE_SAMPLES['GET /v1/dyn-db-credentials/leases/:id']!.path!(doomed!);
      await untilSealed();
      const byKey = rig.world('v1', rig.tenant, 'live');
      const before = await byKey.idsIn('/v1/vaults');
      const owner = await rig.signIn(rig.other.ownerEmail, OWNER_PASSWORD);
      expect((await remove(id, slug, owner)).status).toBe(200);
      // What was under way may still write.
      expect(await runRemoval()).toBe(0);
      // Its database users are dropped first: they are due, and until they are gone its keys are needed.
      const live = await rig.services.dynDb.endAllOf(id);
      expect(live).toBeGreaterThan(0);
      rig.clock.advance(DAY_MS - 1);
      await runRemoval();
      expect(await masterKeys(id)).toHaveLength(1);
      rig.clock.advance(2);
      expect(await runRemoval(7)).toBeGreaterThan(5);
      const warned = rig.logLines.filter((line) => line.includes('database users could not be dropped'));
      expect(JSON.parse(warned[0]!)).toMatchObject({ level: 'warn', tenant_id: id, leases: live });
      expect(await byKey.idsIn('/v1/vaults')).toEqual(before);
      token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
      expect((await ask('POST', '/admin/tenants', { name: 'n', slug })).status).toBe(409);
      rig.clock.advance(90 * DAY_MS);
      await runRemoval();
      token = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
      expect((await ask('POST', '/admin/tenants', { name: 'n', slug })).status).toBe(201);
      if (name !== 'sqlite') return;
      const left = [...storedRows(rig.db.storage)].filter(([, rows]) => rows.includes(id));
      const tables = left.map(([table]) => table);
      // The operator's row says what was deleted.
      expect(tables.filter((table) => !(table in TABLES_KEPT)).sort()).toEqual(['audit_logs', 'generations']);
    });
  });

  const masterKeys = (tenantId: TenantId) =>
    rig.db.view(kmsTables).scoped({ tenantId }).selectFrom('tenant_master_keys').select('wrapped').execute();

  async function untilSealed() {
    await rig.db.flush();
    for (let turn = 0; turn < 200 && (await rig.services.auditChain.unsealedRows()) > 0; turn++)
      await new Promise((resolve) => setImmediate(resolve));
  }
});

it('a user who belongs nowhere any more makes no tenant where signup is off', async () => {
  const rig = await openMatrixRig({ isSignupOn: false });
  const email = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'developer');
  const make = async (slug: string) => {
    const token = await rig.signIn(email, OWNER_PASSWORD);
    return (await rig.ask('POST', '/admin/tenants', { token, body: { name: 'n', slug } })).status;
  };
  expect(await make('mine')).toBe(201);
  const id = await rig.services.accounts.findUserId(email);
  for (const { tenantId } of await rig.services.accounts.membershipsOf(id!))
    await rig.db
      .view(accountsTables)
      .scoped({ tenantId })
      .deleteFrom('memberships')
      .where('user_id', '=', id!)
      .execute();
  expect(await make('after-all')).toBe(403);
  await rig.close();
});

describe('what belongs to a tenant', () => {
  it('is in the list of what is removed, or of what is kept', async () => {
    const rig = await openMatrixRig();
    const { DatabaseSync } = (await import('../../platform/storage/sqlite-module.js')).loadSqlite();
    const found: string[] = [];
    if (rig.db.storage.kind !== 'sqlite') throw new Error('the rig is on SQLite');
    for (const path of [rig.db.storage.path, rig.db.storage.logPath]) {
      const connection = new DatabaseSync(path, { readOnly: true });
      const tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
      for (const { name } of tables)
        if (connection.prepare(`SELECT 1 FROM pragma_table_info('${name}') WHERE name = 'tenant_id'`).get())
          found.push(String(name));
      connection.close();
    }
    await rig.close();
    const listed = [...TENANT_TABLES.map(({ name }) => name), ...Object.keys(TABLES_KEPT)];
    expect(listed.sort()).toEqual(found.sort());
  });
});
