import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import type { JsonTree, TestAnswer } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PATH = '/v1/clients';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
const HEX = 'ab'.repeat(32);
const COLONS = HEX.toUpperCase().match(/../g)!.join(':');

let harness: Harness;
beforeAll(async () => {
  const free = { ...DEFAULT_TIERS.free, caps: { ...DEFAULT_TIERS.free.caps, clients: 2 } };
  harness = await createHarness({ tiers: { ...DEFAULT_TIERS, free } });
});
afterAll(() => harness.close());

const ask = (method: string, path: string, body?: unknown, key = harness.tenant.live) =>
  harness.call(method, path, { key, ...(body !== undefined && { body }) });
const problemOf = ({ status, json }: TestAnswer) => [status, json['error']?.type];

async function create(body: Record<string, unknown> = {}, key = harness.tenant.live): Promise<JsonTree> {
  const { status, json } = await ask('POST', PATH, { name: 'till', ...body }, key);
  expect(status).toBe(201);
  return json['data'];
}

const credentialsOf = async (id: string): Promise<JsonTree[]> =>
  (await ask('GET', `${PATH}/${id}/credentials`)).json['data'];

async function addCredential(id: string, body: unknown): Promise<JsonTree> {
  const { status, json } = await ask('POST', `${PATH}/${id}/credentials`, body);
  expect([status, json['error']]).toEqual([201, undefined]);
  return json['data'];
}

async function lastAudit(action: string): Promise<JsonTree> {
  const { json } = await ask('GET', `/v1/audit-logs?action=${action}&per_page=1`);
  return json['data'][0];
}

describe('a client', () => {
  it('is made with what the contract has for it, and read back', async () => {
    const made = await create();
    const row = {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'till',
      type: 'server',
      ip_address: '',
      ip_notes: {},
      description: null,
      enabled: true,
      collection_id: null,
      signing_secret_id: null,
      created_at: expect.stringMatching(/Z$/),
      updated_at: made['created_at'],
    };
    const ofAgents = Object.fromEntries(
      ['version', 'os', 'arch', 'hostname', 'last_seen', 'mode'].map((name) => [`agent_${name}`, null]),
    );
    const { tenant } = harness;
    const createdBy = { tenant_id: tenant.id, created_by: tenant.live.id };
    expect(made).toEqual({ ...row, ...createdBy, ...ofAgents, route_assignments: [] });
    const { json } = await ask('GET', `${PATH}/${made['id']}`);
    expect(json['data']).toEqual({ ...row, route_assignments: [] });
    const list = await ask('GET', `${PATH}?per_page=1`);
    expect(list.json['data']).toEqual([row]);
    expect(await credentialsOf(made['id'])).toEqual([]);
  });

  it('has its address as a credential, which follows it', async () => {
    const made = await create({ name: 'office', ip_address: '203.0.113.42/24' });
    const [own] = await credentialsOf(made['id']);
    expect(own).toMatchObject({
      client_id: made['id'],
      tenant_id: harness.tenant.id,
      kind: 'ip',
      label: null,
      data: { value: '203.0.113.42/24' },
      enabled: true,
      expires_at: null,
      last_matched_at: null,
    });
    const one = `${PATH}/${made['id']}`;
    expect((await ask('PATCH', one, { ip_address: '2001:db8::/48' })).json['data'].ip_address).toBe(
      '2001:db8::/48',
    );
    expect(await credentialsOf(made['id'])).toMatchObject([
      { id: own!['id'], data: { value: '2001:db8::/48' } },
    ]);
    await ask('PATCH', one, { ip_address: '' });
    expect(await credentialsOf(made['id'])).toEqual([]);
    await ask('PATCH', one, { ip_address: '10.0.0.1' });
    expect(await credentialsOf(made['id'])).toMatchObject([{ data: { value: '10.0.0.1' } }]);
  });

  it('is changed, and the audit row has what was and what is', async () => {
    const { id } = await create({ name: 'old', description: 'd' });
    const change = {
      name: 'new',
      type: 'user',
      ip_notes: { a: 1 },
      collection_id: UNKNOWN,
      description: null,
    };
    const { status, json } = await ask('PATCH', `${PATH}/${id}`, change);
    expect([status, json['data']]).toMatchObject([
      200,
      { id, ...change, enabled: true, tenant_id: harness.tenant.id },
    ]);
    expect(json['data'].route_assignments).toBeUndefined();
    expect(await lastAudit('client.update')).toMatchObject({
      resource_type: 'client',
      resource_id: id,
      details: { name: 'new', old: { name: 'old', description: 'd' }, new: change },
    });
    await ask('PATCH', `${PATH}/${id}`, { enabled: false });
    expect((await lastAudit('client.disable')).resource_id).toBe(id);
    await ask('PATCH', `${PATH}/${id}`, { enabled: true });
    expect((await lastAudit('client.enable')).resource_id).toBe(id);
  });

  it('has a signing secret, a string of its mode that is not deleted meanwhile', async () => {
    const secret = async (key = harness.tenant.live) =>
      (await ask('POST', '/v1/secrets', { name: harness.ids.uuid(), value: 'canary' }, key)).json['data'].id;
    const signing_secret_id = await secret();
    const { id } = await create({ signing_secret_id });
    expect((await ask('GET', `${PATH}/${id}`)).json['data']).toMatchObject({ signing_secret_id });
    for (const other of [UNKNOWN, await secret(harness.tenant.test)]) {
      const refused = await ask('PATCH', `${PATH}/${id}`, { signing_secret_id: other });
      expect(refused.json['fields']).toHaveProperty(['signing_secret_id']);
      expect((await ask('POST', PATH, { name: 'x', signing_secret_id: other })).status).toBe(400);
    }
    expect((await ask('DELETE', `/v1/secrets/${signing_secret_id}`)).status).toBe(409);
    const { status, json } = await ask('PATCH', `${PATH}/${id}`, { signing_secret_id: null });
    expect([status, json['data'].signing_secret_id]).toEqual([200, null]);
    expect((await ask('DELETE', `/v1/secrets/${signing_secret_id}`)).status).toBe(200);
  });

  it('is deleted with all that it has, and its certificates are revoked', async () => {
    const { id } = await create({ ip_address: '10.0.0.1' });
    const issued = await addCredential(id, { kind: 'mtls_thumbprint', data: { mode: 'issue' } });
    await addCredential(id, { kind: 'mtls_thumbprint', data: { sha256_thumbprint: '77'.repeat(32) } });
    const { status, json } = await ask('DELETE', `${PATH}/${id}`);
    expect([status, json['data']]).toEqual([200, { deleted: true }]);
    expect(await lastAudit('client.delete')).toMatchObject({
      resource_id: id,
      details: { name: 'till', credentials_deleted: 3, certificates_revoked: 1 },
    });
    for (const path of ['', '/credentials', `/credentials/${issued['id']}`])
      expect(problemOf(await ask('DELETE', `${PATH}/${id}${path}`))[0]).toBe(
        path === '/credentials' ? 405 : 404,
      );
  });

  it('is listed by type and in the order that is asked for', async () => {
    const key = harness.other.live;
    for (const [name, type, ip] of [
      ['b', 'user', '10.0.0.2'],
      ['a', 'server', '10.0.0.3'],
      ['c', 'user', '10.0.0.1'],
    ])
      await create({ name, type, ip_address: ip }, key);
    const names = async (query: string) => {
      const { json } = await ask('GET', `${PATH}${query}`, undefined, key);
      return [json['data'].map(({ name }: JsonTree) => name).join(''), json['meta'].total];
    };
    expect(await names('')).toEqual(['cab', 3]);
    expect(await names('?sort=name&order=asc')).toEqual(['abc', 3]);
    expect(await names('?sort=ip_address&order=desc')).toEqual(['abc', 3]);
    expect(await names('?sort=type&order=asc&per_page=1')).toEqual(['a', 3]);
    expect(await names('?type=user&sort=name')).toEqual(['cb', 2]);
    expect((await ask('GET', `${PATH}?type=network`)).json['fields']).toEqual({
      type: ['must be user or server'],
    });
  });

  it.each([
    [{}, 'name'],
    [{ name: '' }, 'name'],
    [{ name: 'a\u0007' }, 'name'],
    [{ name: 'n'.repeat(256) }, 'name'],
    [{ name: 'n', type: 'network' }, 'type'],
    [{ name: 'n', ip_address: '0.0.0.0/0' }, 'ip_address'],
    [{ name: 'n', ip_address: '10.0.0.1,10.0.0.2' }, 'ip_address'],
    [{ name: 'n', ip_address: 'fe80::1%eth0' }, 'ip_address'],
    [{ name: 'n', ip_address: 'localhost' }, 'ip_address'],
    [{ name: 'n', ip_address: null }, 'ip_address'],
    [{ name: 'n', ip_notes: { a: 'x'.repeat(LIMITS.clientNotesBytesMax) } }, 'ip_notes'],
    [{ name: 'n', enabled: true }, 'enabled'],
  ])('is not made of %j', async (body, field) => {
    const answer = await ask('POST', PATH, body);
    expect([...problemOf(answer), Object.keys(answer.json['fields'])]).toEqual([
      400,
      'validation_error',
      [field],
    ]);
  });

  it('is told what is wrong with its address', async () => {
    const { json } = await ask('POST', PATH, { name: 'n', ip_address: '10.0.0.1:443' });
    expect(json['fields']).toEqual({ ip_address: ['must not have a port'] });
  });

  it('is 400 for a change of nothing or of what it has not, 404 where there is none', async () => {
    const { id } = await create();
    expect(problemOf(await ask('PATCH', `${PATH}/${id}`, {}))).toEqual([400, 'validation_error']);
    expect(problemOf(await ask('PATCH', `${PATH}/${id}`, { agent_os: 'x' }))).toEqual([
      400,
      'validation_error',
    ]);
    for (const other of [UNKNOWN, 'till'])
      expect(problemOf(await ask('PATCH', `${PATH}/${other}`, { name: 'x' }))).toEqual([404, 'not_found']);
  });

  it('is 402 beyond the plan, whose sandbox does not count', async () => {
    const { other } = harness;
    await harness.tenantSwitch.changeBySlug(other.slug, { plan: 'free' });
    const beyond = await ask('POST', PATH, { name: 'n' }, other.live);
    expect(problemOf(beyond)).toEqual([402, 'plan_limit']);
    expect(beyond.json['error'].message).toBe('The plan free allows 2 clients');
    for (let i = 0; i < 3; i++) await create({}, other.test);
    const usage = await ask('GET', '/v1/account/usage', undefined, other.live);
    expect(usage.json['data'].resources.clients).toEqual({ used: 3, limit: 2 });
  });
});

describe('a credential', () => {
  it('of a range comes back as it was sent', async () => {
    const { id } = await create();
    const made = await addCredential(id, { kind: 'ip', label: 'office', data: { value: '203.0.113.42/24' } });
    expect(made).toEqual({
      id: expect.any(String),
      tenant_id: harness.tenant.id,
      client_id: id,
      kind: 'ip',
      label: 'office',
      data: { value: '203.0.113.42/24' },
      enabled: true,
      expires_at: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
      last_matched_at: null,
    });
    expect(await lastAudit('client_credential.create')).toMatchObject({
      resource_type: 'client_credential',
      resource_id: made['id'],
      details: { client_id: id, kind: 'ip', label: 'office', value: '203.0.113.42/24' },
    });
  });

  it('of a registered certificate has its thumbprint in one form, once in a mode', async () => {
    const { id } = await create();
    const body = { kind: 'mtls_thumbprint', data: { sha256_thumbprint: `sha256 Fingerprint=${COLONS}` } };
    const made = await addCredential(id, body);
    expect([made['data'], made['expires_at'], 'reveal' in made]).toEqual([
      { sha256_thumbprint: HEX },
      null,
      false,
    ]);
    const { id: second } = await create();
    for (const client of [id, second])
      expect(problemOf(await ask('POST', `${PATH}/${client}/credentials`, body))).toEqual([409, 'conflict']);
    const inTest = await create({}, harness.tenant.test);
    const path = `${PATH}/${inTest['id']}/credentials`;
    expect((await ask('POST', path, body, harness.tenant.test)).status).toBe(201);
    await ask('DELETE', `${PATH}/${id}/credentials/${made['id']}`);
    expect((await lastAudit('client_credential.delete')).details.certificates_revoked).toBe(0);
    await addCredential(second, body);
  });

  it('that is issued shows its key once, in no replay and nowhere else', async () => {
    const { id } = await create({ name: 'build server' });
    const path = `${PATH}/${id}/credentials`;
    const body = { kind: 'mtls_thumbprint', label: 'laptop', data: { mode: 'issue' } };
    const call = { key: harness.tenant.live, body, headers: { 'x-idempotency-key': 'issue-1' } };
    const first = await harness.call('POST', path, call);
    const { data } = first.json;
    expect([first.status, first.headers['cache-control']]).toEqual([201, 'no-store']);
    expect(data).toMatchObject({
      kind: 'mtls_thumbprint',
      label: 'laptop',
      expires_at: expect.stringMatching(/T\d\d:\d\d:\d\dZ$/),
      data: {
        sha256_thumbprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        subject: 'CN=build server',
        serial: expect.stringMatching(/^[0-9a-f]+$/),
        not_after: data.expires_at,
      },
      reveal: {
        certificate_pem: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
        private_key_pem: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----\n/),
        ca_chain_pem: expect.stringMatching(
          /^(-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?){2}$/,
        ),
      },
    });
    await harness.advance(3_600_000);
    const replay = await harness.call('POST', path, call);
    expect([replay.status, replay.json['data']]).toEqual([201, { ...data, reveal: null }]);
    const { reveal, ...row } = data;
    expect(await credentialsOf(id)).toEqual([row]);
    const key = reveal.private_key_pem.split('\n')[1];
    expect((await ask('GET', '/v1/audit-logs?per_page=100')).text).not.toContain(key);
    expect(harness.logLines.join('')).not.toContain(key);
  });

  it('that is issued is a certificate of that client, with the key that is shown', async () => {
    const { id } = await create({ name: 'till 7' });
    const { data, expires_at, reveal } = await addCredential(id, {
      kind: 'mtls_thumbprint',
      data: { mode: 'issue' },
    });
    const certificate = new X509Certificate(reveal.certificate_pem);
    expect(certificate.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(data.sha256_thumbprint);
    expect(certificate.serialNumber.toLowerCase().replace(/^0+/, '')).toBe(data.serial.replace(/^0+/, ''));
    expect(Date.parse(certificate.validTo)).toBe(Date.parse(expires_at));
    expect([certificate.subject, certificate.subjectAltName]).toEqual([
      'CN=till 7',
      `URI:urn:knoxcall:client:${id}`,
    ]);
    expect(certificate.checkPrivateKey(createPrivateKey(reveal.private_key_pem))).toBe(true);
    const [issuing, root] = reveal.ca_chain_pem
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map((pem: string) => new X509Certificate(pem));
    expect(certificate.verify(issuing.publicKey) && issuing.verify(root.publicKey)).toBe(true);
  });

  it('that is issued is revoked when it is deleted, and not when it is switched off', async () => {
    const { id } = await create();
    const made = await addCredential(id, { kind: 'mtls_thumbprint', data: { mode: 'issue' } });
    const scope = { tenantId: harness.tenant.id, sandbox: false };
    const lists = () => harness.authorities.listsPem(scope, '_clients');
    const path = `${PATH}/${id}/credentials/${made['id']}`;
    const before = await lists();
    await ask('PATCH', path, { enabled: false });
    expect(await lists()).toBe(before);
    await ask('DELETE', path);
    expect((await lists()).length).toBeGreaterThan(before.length);
    const { details } = await lastAudit('client_credential.delete');
    expect(details).toMatchObject({ serial: made['data'].serial, certificates_revoked: 1 });
  });

  it('is switched and labelled, and nothing else of it is changed', async () => {
    const { id } = await create();
    const { id: credId } = await addCredential(id, { kind: 'ip', label: 'a', data: { value: '10.0.0.1' } });
    const path = `${PATH}/${id}/credentials/${credId}`;
    const off = await ask('PATCH', path, { enabled: false });
    expect(off.json['data']).toMatchObject({ id: credId, enabled: false, label: 'a' });
    expect((await ask('PATCH', path, { label: null })).json['data']).toMatchObject({
      enabled: false,
      label: null,
    });
    expect(await lastAudit('client_credential.update')).toMatchObject({
      details: { enabled: false, label: null, old: { enabled: false, label: 'a' } },
    });
    for (const body of [{}, { data: { value: '10.0.0.2' } }, { kind: 'ip' }, { label: '' }])
      expect(problemOf(await ask('PATCH', path, body))).toEqual([400, 'validation_error']);
  });

  it.each([
    [{ data: { value: '10.0.0.1' } }, 'kind'],
    [{ kind: 'signature_hmac', data: {} }, 'kind'],
    [{ kind: 'ip' }, 'data'],
    [{ kind: 'ip', data: {} }, 'data.value'],
    [{ kind: 'ip', data: { value: '0.0.0.0/0' } }, 'data.value'],
    [{ kind: 'ip', data: { value: '10.0.0.1 ' } }, 'data.value'],
    [{ kind: 'ip', data: { value: '10.0.0.1', mode: 'issue' } }, 'data.mode'],
    [{ kind: 'ip', data: { value: '10.0.0.1', sha256_thumbprint: HEX } }, 'data.sha256_thumbprint'],
    [{ kind: 'mtls_thumbprint', data: {} }, 'data.sha256_thumbprint'],
    [{ kind: 'mtls_thumbprint', data: { mode: 'register' } }, 'data.mode'],
    [{ kind: 'mtls_thumbprint', data: { mode: 'issue', sha256_thumbprint: HEX } }, 'data.sha256_thumbprint'],
    [{ kind: 'mtls_thumbprint', data: { value: '10.0.0.1', mode: 'issue' } }, 'data.value'],
    [{ kind: 'mtls_thumbprint', data: { sha256_thumbprint: HEX.slice(2) } }, 'data.sha256_thumbprint'],
    [{ kind: 'mtls_thumbprint', data: { sha256_thumbprint: HEX.slice(24) } }, 'data.sha256_thumbprint'],
    [{ kind: 'mtls_thumbprint', data: { private_key_pem: 'x', mode: 'issue' } }, 'data.private_key_pem'],
    [{ kind: 'ip', data: { value: '10.0.0.1' }, label: 1 }, 'label'],
    [{ kind: 'ip', data: { value: '10.0.0.1' }, expires_at: null }, 'expires_at'],
  ])('is not made of %j', async (body, field) => {
    const { id } = await create();
    const answer = await ask('POST', `${PATH}/${id}/credentials`, body);
    expect([...problemOf(answer), Object.keys(answer.json['fields'])]).toEqual([
      400,
      'validation_error',
      [field],
    ]);
    expect(await credentialsOf(id)).toEqual([]);
  });

  it('of a network that the client has is 409, however it is written', async () => {
    const { id } = await create({ ip_address: '10.1.2.3/8' });
    const path = `${PATH}/${id}/credentials`;
    for (const value of ['10.0.0.0/8', '10.255.255.255/8', '::ffff:10.0.0.0/104'])
      expect(problemOf(await ask('POST', path, { kind: 'ip', data: { value } }))).toEqual([409, 'conflict']);
    await addCredential(id, { kind: 'ip', data: { value: '10.0.0.0/9' } });
    expect(problemOf(await ask('PATCH', `${PATH}/${id}`, { ip_address: '10.0.0.1/9' }))).toEqual([
      409,
      'conflict',
    ]);
    expect((await ask('GET', `${PATH}/${id}`)).json['data'].ip_address).toBe('10.1.2.3/8');
    const { id: other } = await create();
    await addCredential(other, { kind: 'ip', data: { value: '10.0.0.0/8' } });
  });

  it('of the client’s own address cannot be switched off, and empties it when it is deleted', async () => {
    const { id } = await create({ ip_address: '10.0.0.1' });
    const [own] = await credentialsOf(id);
    const path = `${PATH}/${id}/credentials/${own!['id']}`;
    expect(problemOf(await ask('PATCH', path, { enabled: false }))).toEqual([409, 'conflict']);
    expect((await ask('PATCH', path, { label: 'own' })).status).toBe(200);
    expect((await ask('DELETE', path)).json['data']).toEqual({ deleted: true });
    expect((await ask('GET', `${PATH}/${id}`)).json['data'].ip_address).toBe('');
    expect(await credentialsOf(id)).toEqual([]);
  });

  it('is one of a hundred at most', async () => {
    const { id } = await create({ ip_address: '10.9.9.9' });
    for (let i = 1; i < LIMITS.clientCredentialsMax; i++)
      await addCredential(id, { kind: 'ip', data: { value: `10.0.0.${i}` } });
    for (const body of [
      { kind: 'ip', data: { value: '10.1.0.0' } },
      { kind: 'mtls_thumbprint', data: { mode: 'issue' } },
    ])
      expect(problemOf(await ask('POST', `${PATH}/${id}/credentials`, body))).toEqual([409, 'conflict']);
    expect((await ask('PATCH', `${PATH}/${id}`, { ip_address: '10.2.0.0' })).status).toBe(200);
    await ask('PATCH', `${PATH}/${id}`, { ip_address: '' });
    await addCredential(id, { kind: 'ip', data: { value: '10.3.0.0' } });
    expect(problemOf(await ask('PATCH', `${PATH}/${id}`, { ip_address: '10.2.0.0' }))).toEqual([
      409,
      'conflict',
    ]);
  });

  it('of another client is 404', async () => {
    const { id } = await create();
    const { id: other } = await create({ ip_address: '10.0.0.1' });
    const [foreign] = await credentialsOf(other);
    for (const credId of [foreign!['id'], UNKNOWN, 'x'])
      for (const [method, body] of [['PATCH', { label: 'x' }], ['DELETE']] as const) {
        const answer = await ask(method, `${PATH}/${id}/credentials/${credId}`, body);
        expect([...problemOf(answer), answer.json['error'].message]).toEqual([
          404,
          'not_found',
          'Client credential not found',
        ]);
      }
    expect(await credentialsOf(other)).toHaveLength(1);
  });
});

describe('GET /v1/clients/match', () => {
  const match = (ip: string, key = harness.tenant.live) => harness.call('GET', `${PATH}/match`, { key, ip });

  it('tells which client the call comes from', async () => {
    const { id, name } = await create({ name: 'branch', ip_address: '198.51.100.0/24' });
    const [own] = await credentialsOf(id);
    const expected = {
      certificate_sha256: null,
      client_id: id,
      client_name: name,
      credential_id: own!['id'],
      kind: 'ip',
    };
    for (const [ip, address] of [
      ['198.51.100.7', '198.51.100.7'],
      ['::ffff:198.51.100.255', '198.51.100.255'],
    ])
      expect((await match(ip!)).json['data']).toEqual({ address, ...expected });
    await harness.clients.stop();
    const [matched] = await credentialsOf(id);
    expect(matched!['last_matched_at']).toMatch(/^20.*Z$/);
  });

  it('is 403 with the address where it comes from none, in another mode too', async () => {
    await create({ name: 'live only', ip_address: '192.0.2.1' });
    for (const answer of [await match('192.0.2.2'), await match('192.0.2.1', harness.tenant.test)])
      expect([answer.status, answer.json['error']]).toMatchObject([
        403,
        {
          type: 'client_not_authorized',
          message: 'Client authorization required but IP not found',
          ip: expect.stringMatching(/^192\.0\.2\.[12]$/),
        },
      ]);
    expect((await match('192.0.2.1')).status).toBe(200);
  });
});
