import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestAnswer } from '../../testing/calls.js';
import { connectionBody, createDynDbHarness, type DynDbHarness } from '../../testing/dyn-db-harness.js';
import { MEMORY_PASSWORD } from '../../testing/memory-databases.js';

let harness: DynDbHarness;
beforeAll(async () => {
  harness = await createDynDbHarness();
});
afterAll(() => harness.close());

const ask: DynDbHarness['ask'] = (...call) => harness.ask(...call);
const dataOf = ({ json }: TestAnswer) => json['data'];
const refusal = ({ status, json }: TestAnswer) => [status, json['error']?.['type']];
const fieldsOf = ({ json }: TestAnswer) => Object.keys(json['fields'] ?? {});
let made = 0;
const fresh = () => `db${++made}`;

async function connected(more: object = {}): Promise<string> {
  const name = fresh();
  await harness.connect(name, more);
  return name;
}

async function keyWith(...grants: { permission: string; resource?: string }[]): Promise<string> {
  const body = { name: 'narrow', grants };
  const { json } = await harness.call('POST', '/v1/api-keys', { key: harness.tenant.live, body });
  return json['data']['api_key'];
}

async function audits(action: string) {
  const path = `/v1/audit-logs?per_page=100&action=${action}`;
  return (await harness.call('GET', path, { key: harness.tenant.live })).json['data'];
}

describe('a connection', () => {
  it('is made with defaults, read and listed, and shows no secret', async () => {
    const name = fresh();
    const created = await ask('POST', '', connectionBody(name));
    expect(created.status).toBe(200);
    expect(dataOf(created)).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name,
      engine: 'postgres',
      execution_mode: 'direct',
    });
    const row = {
      ...dataOf(created),
      host: `${name}.example.com`,
      port: null,
      database_name: null,
      admin_username: 'admin',
      agent_id: null,
      default_ttl_seconds: 3_600,
      max_ttl_seconds: 86_400,
      connect_options: {},
      username_template: null,
      max_live_leases: null,
      enabled: true,
      ssh_host: null,
      ssh_port: null,
      ssh_username: null,
      iam_region: null,
      iam_db_user: null,
      created_at: '2026-01-15T09:30:00.000Z',
      updated_at: '2026-01-15T09:30:00.000Z',
    };
    expect(dataOf(await ask('GET', `/${name}`))).toEqual(row);
    expect(dataOf(await ask('GET', ''))).toContainEqual(row);
    const [audit] = await audits('dyn_db.connection.create');
    expect(audit.details).toMatchObject({ connection: name, engine: 'postgres' });
    expect(JSON.stringify(audit)).not.toContain(MEMORY_PASSWORD);
  });

  it('takes the other name of mongo', async () => {
    const name = fresh();
    const created = await ask('POST', '', connectionBody(name, { engine: 'mongodb' }));
    expect(dataOf(created).engine).toBe('mongo');
  });

  it.each([
    ['engine', { engine: 'mssql' }],
    ['name', { name: 'leases' }],
    ['name', { name: 'a/b' }],
    ['name', { name: 'ä' }],
    ['name', { name: '-a' }],
    ['name', { name: 'a'.repeat(64) }],
    ['execution_mode', { execution_mode: 'agent_tunnel' }],
    ['execution_mode', { execution_mode: 'agent' }],
    ['execution_mode', { execution_mode: 'ssh_tunnel' }],
    ['execution_mode', { execution_mode: 'iam' }],
    ['ssh_host', { ssh_host: 'bastion' }],
    ['iam_region', { iam_region: 'eu-west-1' }],
    ['agent_id', { agent_id: 'kc_agent_1' }],
    ['host', { host: '' }],
    ['host', { host: '169.254.169.254' }],
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['admin_password', { admin_password: '' }],
    ['default_ttl_seconds', { default_ttl_seconds: 59 }],
    ['max_ttl_seconds', { max_ttl_seconds: 7_776_001 }],
    ['max_ttl_seconds', { default_ttl_seconds: 600, max_ttl_seconds: 599 }],
    ['default_ttl_seconds', { default_ttl_seconds: 60.5 }],
    ['connect_options.sslmode', { connect_options: { sslmode: 'verify' } }],
    ['connect_options.ssl_ca', { connect_options: { ssl_ca: 'no pem' } }],
    ['connect_options.host', { connect_options: { host: 'other' } }],
    ['connect_options.replicaSet', { connect_options: { replicaSet: 'rs0' } }],
    ['connect_options.tls', { connect_options: { tls: true, sslmode: 'require' } }],
    ['username_template', { username_template: '{{password}}' }],
    ['max_live_leases', { max_live_leases: 0 }],
  ])('400 names %s of %j', async (field, more) => {
    const name = fresh();
    const answer = await ask('POST', '', { ...connectionBody(name), ...more });
    expect([...refusal(answer), fieldsOf(answer)]).toEqual([400, 'validation_error', [field]]);
    expect((await ask('GET', `/${name}`)).status).toBe(404);
    expect(answer.text).not.toContain(MEMORY_PASSWORD);
  });

  it('409 where the name is taken in its mode', async () => {
    const name = await connected();
    expect(refusal(await ask('POST', '', connectionBody(name)))).toEqual([409, 'conflict']);
    const path = '/v1/dyn-db-credentials';
    const body = connectionBody(name);
    expect((await harness.call('POST', path, { key: harness.tenant.test, body })).status).toBe(200);
  });

  it('404 under its old names, and by a name that is none', async () => {
    for (const path of ['/v1/databases', '/v1/databases/x', '/v1/databases/leases'])
      expect((await harness.call('GET', path, { key: harness.tenant.live })).status).toBe(404);
    const token = await harness.signIn(harness.tenant.ownerEmail);
    expect((await harness.call('GET', '/admin/databases', { token })).status).toBe(404);
    for (const name of ['a%2Fb', '%C3%A4', 'none']) expect((await ask('GET', `/${name}`)).status).toBe(404);
  });

  describe('PATCH', () => {
    it('changes what is named, and says its name', async () => {
      const name = await connected();
      const changes = {
        max_ttl_seconds: 7_200,
        enabled: false,
        connect_options: { sslmode: 'verify-full' },
      };
      expect(dataOf(await ask('PATCH', `/${name}`, changes))).toEqual({ updated: name });
      expect(dataOf(await ask('GET', `/${name}`))).toMatchObject(changes);
      const [audit] = await audits('dyn_db.connection.update');
      expect(audit.details.changed.sort()).toEqual(['connect_options', 'enabled', 'max_ttl_seconds']);
    });

    it.each([
      [['host'], { host: 'elsewhere.example.com' }],
      [['port'], { port: 6_432 }],
      [['connect_options'], { connect_options: { sslmode: 'prefer' } }],
      [['connect_options'], { connect_options: { tls: false } }],
      [['host', 'port'], { host: 'elsewhere.example.com', port: 1 }],
    ])('400 names %j and the password where the credential would move: %j', async (fields, changes) => {
      const name = await connected();
      const before = dataOf(await ask('GET', `/${name}`));
      const answer = await ask('PATCH', `/${name}`, changes);
      expect(refusal(answer)).toEqual([400, 'validation_error']);
      expect(fieldsOf(answer)).toEqual([...fields, 'admin_password']);
      expect(dataOf(await ask('GET', `/${name}`))).toEqual(before);
      const again = { ...changes, admin_password: 'other' };
      expect((await ask('PATCH', `/${name}`, again)).status).toBe(200);
    });

    it('needs no password where nothing moves', async () => {
      const name = await connected({ connect_options: { sslmode: 'require' } });
      for (const changes of [{ port: 5_432 }, { host: `${name}.example.com` }, { connect_options: {} }])
        expect((await ask('PATCH', `/${name}`, changes)).status).toBe(200);
    });

    it.each([{}, { name: 'x' }, { engine: 'mysql' }, { execution_mode: 'direct' }, { ssh_host: 'x' }])(
      '400 to %j',
      async (body) => {
        expect(refusal(await ask('PATCH', `/${await connected()}`, body))).toEqual([400, 'validation_error']);
      },
    );
  });

  describe('DELETE', () => {
    it('409 tells how many leases live, and goes when they are gone', async () => {
      const name = await connected();
      const leases = [await harness.mint(name), await harness.mint(name)];
      const server = harness.databases.serverAt(`${name}.example.com`);
      const refused = await ask('DELETE', `/${name}`);
      expect(refusal(refused)).toEqual([409, 'conflict']);
      expect(refused.json['error']['message']).toContain('has 2 active credential lease(s)');
      expect((await ask('DELETE', `/${name}/roles/reader`)).json['error']['message']).toContain(
        'has 2 active credential lease(s)',
      );
      for (const { lease_id } of leases) await ask('POST', `/leases/${lease_id}/revoke`, {});
      expect(server.groups.size).toBe(1);
      expect(dataOf(await ask('DELETE', `/${name}`))).toEqual({ deleted: name });
      expect(server.groups.size).toBe(0);
      expect((await ask('GET', `/${name}/roles`)).status).toBe(404);
    });

    it('with force leaves the users behind, each with its row', async () => {
      const name = await connected();
      const { lease_id, username } = await harness.mint(name);
      harness.databases.serverAt(`${name}.example.com`).isDown = true;
      const key = await keyWith({ permission: 'dyn-db:write' });
      const path = `/v1/dyn-db-credentials/${name}?force=true`;
      expect(refusal(await harness.call('DELETE', path, { key }))).toEqual([403, 'forbidden']);
      expect((await ask('DELETE', `/${name}?force=true`)).status).toBe(200);
      expect(await harness.statusOf(lease_id)).toBe('revoked');
      const [row] = await audits('dyn_db.lease.force_forget');
      expect(row.details).toMatchObject({ username, connection: name, lease_id });
    });
  });

  it('has no SSH key', async () => {
    const name = await connected();
    const body = { ssh_private_key: 'k' };
    const answer = await ask('POST', `/${name}/rotate-ssh-key`, body);
    expect([...refusal(answer), fieldsOf(answer)]).toEqual([400, 'validation_error', ['execution_mode']]);
    expect((await ask('POST', '/none/rotate-ssh-key', body)).status).toBe(404);
  });

  it('is not stored where it is to be verified and cannot be reached', async () => {
    const name = fresh();
    const server = harness.databases.serverAt(`${name}.example.com`);
    const create = () => ask('POST', '?verify=true', connectionBody(name));
    server.isDown = true;
    const down = await create();
    expect(refusal(down)).toEqual([503, 'dependency_unavailable']);
    expect(down.headers['retry-after']).toBeDefined();
    server.isDown = false;
    server.refuses = 'missingGrant';
    expect(refusal(await create())).toEqual([502, 'database_error']);
    expect((await ask('GET', `/${name}`)).status).toBe(404);
    server.refuses = null;
    expect((await create()).status).toBe(200);
  });
});

describe('a test', () => {
  const STEPS = ['resolve', 'connect', 'tls', 'log_in', 'may_create_users'];

  it('goes every step, and leaves no user', async () => {
    const name = await connected();
    const answer = dataOf(await ask('POST', `/${name}/test`, {}));
    expect(answer).toMatchObject({ ok: true, server_version: '15.0', error: null, warnings: [] });
    expect(answer.steps.map(({ step }: { step: string }) => step)).toEqual([
      ...STEPS,
      'mint_probe',
      'drop_probe',
    ]);
    expect(harness.databases.serverAt(`${name}.example.com`).users.size).toBe(0);
    expect(dataOf(await ask('GET', `/leases?status=all&connection=${name}`)).total).toBe(0);
  });

  it.each(['disable', 'prefer'])('tells of no TLS where sslmode is %s', async (sslmode) => {
    const name = await connected({ connect_options: { sslmode } });
    const { steps } = dataOf(await ask('POST', `/${name}/test`, {}));
    const names = steps.map(({ step }: { step: string }) => step);
    expect(names.slice(0, 4)).toEqual(['resolve', 'connect', 'log_in', 'may_create_users']);
  });

  it('says how many roles it left out', async () => {
    const name = await connected();
    const more = Array.from({ length: 21 }, (_, index) => `r${index}`);
    for (const role of more) await ask('POST', `/${name}/roles`, { name: role, template: 'readonly' });
    const { steps, warnings } = dataOf(await ask('POST', `/${name}/test`, {}));
    expect(steps.filter(({ step }: { step: string }) => step === 'mint_probe')).toHaveLength(20);
    expect(warnings).toEqual([expect.stringMatching(/^2 role\(s\) were not tried/)]);
    expect(dataOf(await ask('POST', `/${name}/test`, { role: 'reader' })).warnings).toEqual([]);
  });

  it('names the step that fails, and what would help', async () => {
    const name = await connected();
    const server = harness.databases.serverAt(`${name}.example.com`);
    server.refuses = 'missingGrant';
    const answer = dataOf(await ask('POST', `/${name}/test`, { role: 'reader' }));
    expect(answer).toMatchObject({ ok: false, error: 'database_error: no CREATEROLE' });
    expect(answer.steps.at(-1)).toMatchObject({ step: 'may_create_users', ok: false, hint: 'ALTER ROLE' });
    server.refuses = 'createUser';
    const probe = dataOf(await ask('POST', `/${name}/test`, {}));
    expect(probe.steps.slice(-2)).toMatchObject([
      { step: 'mint_probe', ok: false, role: 'reader' },
      { step: 'drop_probe', ok: true },
    ]);
    server.isDown = true;
    expect(dataOf(await ask('POST', `/${name}/test`, {})).steps).toMatchObject([
      { step: 'resolve', ok: true },
      { step: 'connect', ok: false },
    ]);
    expect((await ask('POST', `/${name}/test`, { role: 'none' })).status).toBe(404);
  });

  it('of what is not stored is for users', async () => {
    const token = await harness.signIn(harness.tenant.ownerEmail);
    const path = '/admin/dyn-db-credentials/test';
    const body = connectionBody(fresh());
    const answer = await harness.call('POST', path, { token, body });
    expect(dataOf(answer)).toMatchObject({ ok: true });
    const wrong = await harness.call('POST', path, { token, body: { ...body, admin_password: 'x' } });
    expect(dataOf(wrong)).toMatchObject({ ok: false, error: expect.stringContaining('28P01') });
    // Of keys it is the name of a connection.
    expect(refusal(await ask('POST', '/test', body))).toEqual([405, 'method_not_allowed']);
  });
});

describe('a role', () => {
  it('shows the statements that its template stands for', async () => {
    const name = await connected();
    const body = { name: 'writer', template: 'readwrite', default_ttl_seconds: 600 };
    const created = await ask('POST', `/${name}/roles`, body);
    expect([created.status, dataOf(created)]).toEqual([
      200,
      { id: expect.any(String), name: 'writer', connection: name },
    ]);
    const row = dataOf(await ask('GET', `/${name}/roles/writer`));
    expect(row).toMatchObject({
      name: 'writer',
      creation_sql_template: expect.stringMatching(/kc_tpl_readwrite_[0-9a-f]{8}/),
      default_ttl_seconds: 600,
      max_ttl_seconds: null,
    });
    expect(dataOf(await ask('GET', `/${name}/roles`))).toHaveLength(2);
    expect(dataOf(await ask('PATCH', `/${name}/roles/writer`, { max_ttl_seconds: 700 }))).toEqual({
      updated: 'writer',
    });
    expect(dataOf(await ask('DELETE', `/${name}/roles/writer`))).toEqual({ deleted: 'writer' });
    expect((await ask('GET', `/${name}/roles/writer`)).status).toBe(404);
  });

  it.each([
    [['template'], {}],
    [['template'], { template: 'admin' }],
    [['template'], { template: 'readonly', creation_sql: '{{username}}' }],
    [['revocation_sql'], { creation_sql: '{{username}}' }],
    [['creation_sql'], { creation_sql: 'x', revocation_sql: '{{username}}' }],
    [['revocation_sql'], { template: 'readonly', revocation_sql: '{{username}}' }],
    [['schemas'], { creation_sql: '{{username}}', revocation_sql: '{{username}}', schemas: ['a'] }],
    [['max_ttl_seconds'], { template: 'readonly', default_ttl_seconds: 90, max_ttl_seconds: 80 }],
    [['username_template'], { template: 'readonly', username_template: 'A' }],
  ])('400 names %j of %j', async (fields, more) => {
    const answer = await ask('POST', `/${await connected()}/roles`, { name: 'other', ...more });
    expect([...refusal(answer), fieldsOf(answer)]).toEqual([400, 'validation_error', fields]);
  });

  it('409 where the name is taken, 404 in no connection', async () => {
    const body = { name: 'reader', template: 'readonly' };
    expect(refusal(await ask('POST', `/${await connected()}/roles`, body))).toEqual([409, 'conflict']);
    expect(refusal(await ask('POST', '/none/roles', body))).toEqual([404, 'not_found']);
  });

  it('that cannot be minted is not stored where it is to be verified', async () => {
    const name = await connected();
    harness.databases.serverAt(`${name}.example.com`).refuses = 'createUser';
    const body = { name: 'writer', template: 'readwrite' };
    expect(refusal(await ask('POST', `/${name}/roles?verify=true`, body))).toEqual([502, 'database_error']);
    expect((await ask('GET', `/${name}/roles/writer`)).status).toBe(404);
    expect((await ask('POST', `/${name}/roles`, body)).status).toBe(200);
  });
});

describe('what a key may', () => {
  it('mint alone reads no statements, and mints where its rule says', async () => {
    const name = await connected();
    const other = await connected();
    const key = await keyWith({ permission: 'dyn-db:mint', resource: `${name}/reader` });
    const call = (method: string, path: string) =>
      harness.call(method, `/v1/dyn-db-credentials${path}`, { key });
    expect((await call('POST', `/${name}/creds/reader`)).status).toBe(200);
    const elsewhere = await call('POST', `/${other}/creds/reader`);
    expect(refusal(elsewhere)).toEqual([403, 'forbidden']);
    expect(elsewhere.json['error']['message']).toContain(`${other}/reader`);
    for (const path of [`/${name}/roles/reader`, `/${name}/roles`, `/${name}`, '/leases'])
      expect(refusal(await call('GET', path))).toEqual([403, 'forbidden']);
  });

  it('revoke alone ends a lease, and forgets none', async () => {
    const { lease_id } = await harness.mint(await connected());
    const key = await keyWith({ permission: 'dyn-db:revoke' });
    const path = `/v1/dyn-db-credentials/leases/${lease_id}/revoke`;
    expect(refusal(await harness.call('POST', path, { key, body: { force: true } }))).toEqual([
      403,
      'forbidden',
    ]);
    expect((await harness.call('POST', path, { key, body: {} })).status).toBe(200);
  });

  it('nothing of another tenant’s leases', async () => {
    const { lease_id } = await harness.mint(await connected());
    for (const key of [harness.other.live, harness.tenant.test]) {
      for (const [method, path] of [
        ['GET', ''],
        ['POST', '/revoke'],
        ['POST', '/renew'],
      ] as const) {
        const answer = await harness.call(method, `/v1/dyn-db-credentials/leases/${lease_id}${path}`, {
          key,
          ...(method === 'POST' && { body: {} }),
        });
        expect(refusal(answer)).toEqual([404, 'not_found']);
      }
    }
    expect(await harness.statusOf(lease_id)).toBe('active');
    for (const id of ['0', '-1', '1.5', 'abc', '9007199254740993', '99999999'])
      expect((await ask('GET', `/leases/${id}`)).status).toBe(404);
  });
});
