import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';
import { CSR_PEM } from '../../testing/pki-samples.js';

const ROOTS = '/v1/pki/roots';
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const DAY_MS = 86_400_000;

let rig: MatrixRig;
let live: World;
beforeAll(async () => {
  rig = await openMatrixRig();
  live = rig.world('v1', rig.tenant, 'live');
});
afterAll(() => rig.close());

const post = (path: string, body: unknown, world = live) => world.call('POST', path, { body });
const auditOf = async (action: string) =>
  (await live.call('GET', `/v1/audit-logs?action=${action}`)).json['data'] as {
    resource_id: string;
    resource_type: string;
    details: Record<string, unknown>;
  }[];

async function newRoot(name: string, more: object = {}) {
  const { status, text, json } = await post(ROOTS, { name, ...more });
  expect([status, text]).toEqual([201, expect.any(String)]);
  return json['data'].root;
}

async function newRole(root: string, role_name: string, more: object = {}) {
  const { json } = await post(`${ROOTS}/${root}/roles`, { role_name, ...more });
  return json['data'];
}

describe('a root', () => {
  it('is made with its first issuing authority, its subject under short names', async () => {
    const subject = { common_name: 'Acme Root', organization: 'Acme, Inc.', country: 'de' };
    const { status, json } = await post(ROOTS, { name: 'corp', subject });
    expect(status).toBe(201);
    const { root, intermediate_not_after } = json['data'];
    expect(root).toEqual({
      id: expect.any(String),
      tenant_id: rig.tenant.id,
      name: 'corp',
      cert_pem: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
      subject: 'CN=Acme Root,O=Acme\\, Inc.,C=DE',
      subject_fields: { C: 'DE', O: 'Acme, Inc.', CN: 'Acme Root' },
      key_algorithm: 'ecdsa-p256',
      not_before: expect.stringMatching(SECONDS),
      not_after: expect.stringMatching(SECONDS),
      status: 'active',
      created_at: expect.any(String),
      sandbox: false,
    });
    const nowMs = rig.clock.nowMs();
    const daysLeft = (text: string) => Math.round((Date.parse(text) - nowMs) / DAY_MS);
    expect([daysLeft(root.not_after), daysLeft(intermediate_not_after)]).toEqual([3_650, 30]);
    const { ca, subject: shown } = new X509Certificate(root.cert_pem);
    expect([ca, shown]).toEqual([true, 'C=DE\nO=Acme\\, Inc.\nCN=Acme Root']);
    const [row] = await auditOf('pki.root.create');
    expect(row).toMatchObject({ resource_type: 'pki_root', resource_id: root.id, details: { name: 'corp' } });
    expect(JSON.stringify(row)).not.toContain('PRIVATE');
  });

  it('has its name for a CN where none is given', async () => {
    expect((await newRoot('iot')).subject).toBe('CN=iot');
    expect((await newRoot('iot-2', { subject: { O: 'Acme' } })).subject).toBe('CN=iot-2,O=Acme');
  });

  it('is one of its name while it is active, and of its tenant and mode', async () => {
    const root = await newRoot('once');
    const again = await post(ROOTS, { name: 'once' });
    expect([again.status, again.json['error']]).toEqual([
      409,
      expect.objectContaining({ type: 'conflict', message: 'An active root named "once" already exists' }),
    ]);
    const test = rig.world('v1', rig.tenant, 'test');
    expect((await post(ROOTS, { name: 'once' }, test)).status).toBe(201);
    expect((await post(ROOTS, { name: 'once' }, rig.world('v1', rig.other, 'live'))).status).toBe(201);
    for (const world of [test, rig.world('v1', rig.other, 'live')])
      expect((await world.call('GET', `${ROOTS}/${root.id}/cert`)).status).toBe(404);
    expect((await post(`${ROOTS}/once/retire`, {})).json['data']).toEqual({ retired: true });
    const successor = await newRoot('once');
    const { text } = await live.call('GET', `${ROOTS}/once/cert`);
    expect(text).toBe(successor.cert_pem);
    expect((await live.call('GET', `${ROOTS}/${root.id}/cert`)).text).toBe(root.cert_pem);
  });

  it('is listed with the others, bare under /admin', async () => {
    const { json } = await live.call('GET', ROOTS);
    const names = json['data'].map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['corp', 'iot']));
    const admin = await rig.world('admin', rig.tenant, 'live').call('GET', ROOTS);
    expect(admin.json).toEqual(json['data']);
  });

  it('is of any of the five kinds of keys', async () => {
    const kinds = { 'ecdsa-p384': 'secp384r1', 'rsa-2048': 2_048 } as const;
    for (const [kind, detail] of Object.entries(kinds)) {
      const root = await newRoot(kind, { key_algorithm: kind });
      const { asymmetricKeyDetails } = new X509Certificate(root.cert_pem).publicKey;
      expect([root.key_algorithm, Object.values(asymmetricKeyDetails!)]).toEqual([
        kind,
        expect.arrayContaining([detail]),
      ]);
    }
  });

  it('is bounded in number, retired ones counted', async () => {
    const test = rig.world('v1', rig.other, 'test');
    const many = LIMITS.pkiRootsMax;
    for (let n = 1; n < many; n += 1) expect((await post(ROOTS, { name: `r${n}` }, test)).status).toBe(201);
    const last = await Promise.all(['r0', 's0', 't0'].map((name) => post(ROOTS, { name }, test)));
    expect(last.map((answer) => answer.status).sort()).toEqual([201, 409, 409]);
    await post(`${ROOTS}/r1/retire`, {}, test);
    const { status, json } = await post(ROOTS, { name: 'more' }, test);
    expect([status, json['error'].message]).toEqual([409, expect.stringContaining(`At most ${many} roots`)]);
  });
});

describe('rotation', () => {
  it('puts another issuing authority in place, and answers the same to a repeated call', async () => {
    await newRoot('turn');
    const headers = { 'x-idempotency-key': 'turn-1' };
    const rotate = () => live.call('POST', `${ROOTS}/turn/rotate-intermediate`, { body: {}, headers });
    const first = await rotate();
    expect(first.status).toBe(200);
    expect(first.json['data']).toEqual({
      intermediate_id: expect.any(String),
      not_after: expect.stringMatching(SECONDS),
    });
    const again = await rotate();
    expect([again.json, again.headers['x-idempotent-replay']]).toEqual([first.json, 'true']);
    expect(await auditOf('pki.intermediate.rotate')).toHaveLength(1);
    const lists = (await live.call('GET', `${ROOTS}/turn/crl`)).text.match(/BEGIN X509 CRL/g);
    expect(lists).toHaveLength(3);
  });
});

describe('a retired root', () => {
  it('signs nothing new and goes on with its lists; to retire it again changes nothing', async () => {
    await newRoot('old');
    await newRole('old', 'web', { allowed_domains: ['a.b'] });
    const issued = (await post(`${ROOTS}/old/issue/web`, { san_dns: ['a.b'] })).json['data'];
    for (let n = 0; n < 2; n += 1)
      expect((await post(`${ROOTS}/old/retire`, {})).json['data']).toEqual({ retired: true });
    expect(await auditOf('pki.root.retire')).toHaveLength(2);
    for (const [path, body] of [
      ['issue/web', { san_dns: ['a.b'] }],
      ['sign/web', { csr_pem: CSR_PEM }],
      ['rotate-intermediate', {}],
      ['roles', { role_name: 'more' }],
    ] as const) {
      const { status, json } = await post(`${ROOTS}/old/${path}`, body);
      expect([path, status, json['error'].type]).toEqual([path, 409, 'conflict']);
      expect(json['error'].message).toContain('signs nothing new');
    }
    const revoked = await post(`${ROOTS}/old/revoke`, { serial_hex: issued.serial_hex });
    expect(revoked.json['data']).toEqual({ revoked: true });
    expect((await live.call('GET', `${ROOTS}/old/crl`)).status).toBe(200);
    expect((await live.call('GET', `${ROOTS}/old/certs`)).json['data']).toHaveLength(1);
    expect((await live.call('GET', `${ROOTS}/old/roles`)).json['data']).toHaveLength(1);
  });
});

describe('a role', () => {
  const ROLE = {
    allow_subdomains: false,
    allow_wildcards: false,
    allow_ip_sans: true,
    allow_acme: false,
    acme_require_eab: true,
    max_ttl_seconds: 7_776_000,
    default_ttl_seconds: 2_592_000,
    key_algorithm: 'ecdsa-p256',
  };
  beforeAll(() => newRoot('roles'));

  it('has the defaults of the contract, and its domains in one form', async () => {
    const allowed_domains = ['Example.COM.', '*.bücher.example', 'example.com'];
    const role = await newRole('roles', 'web', { allowed_domains });
    expect(role).toEqual({
      id: expect.any(String),
      ca_root_id: expect.any(String),
      name: 'web',
      allowed_domains: ['example.com', '*.xn--bcher-kva.example'],
      ...ROLE,
    });
    expect((await newRole('roles', 'none')).allowed_domains).toEqual([]);
    expect((await newRole('roles', 'short', { max_ttl_seconds: 60 })).default_ttl_seconds).toBe(60);
    const [row] = (await auditOf('pki.role.create')).filter(({ resource_id }) => resource_id === role.id);
    expect(row).toMatchObject({ resource_type: 'pki_role', details: { name: 'web', root: 'roles' } });
  });

  it('is changed in what is sent alone, and its audit row tells old and new', async () => {
    const { id } = await newRole('roles', 'change', { allowed_domains: ['a.b'] });
    const body = { allowed_domains: ['c.d'], allow_wildcards: true, max_ttl_seconds: 2_592_000 };
    const path = `${ROOTS}/roles/roles/change`;
    const { status, json } = await live.call('PATCH', path, { body });
    expect([status, json['data']]).toEqual([
      200,
      { id, ca_root_id: expect.any(String), name: 'change', ...ROLE, ...body },
    ]);
    const [row] = await auditOf('pki.role.update');
    expect(row!.details).toMatchObject({
      old: { allowed_domains: ['a.b'], allow_wildcards: false, max_ttl_seconds: 7_776_000 },
      new: { allowed_domains: ['c.d'], allow_wildcards: true, max_ttl_seconds: 2_592_000 },
    });
    expect(Object.keys(row!.details['new'] as object)).not.toContain('allow_acme');
  });

  it('takes no name of another, made or renamed, below that root alone', async () => {
    await newRole('roles', 'first');
    await newRole('roles', 'second');
    const taken = { type: 'conflict', message: 'A role named "first" already exists below this root' };
    const made = await post(`${ROOTS}/roles/roles`, { role_name: 'first' });
    expect([made.status, made.json['error']]).toEqual([409, expect.objectContaining(taken)]);
    const body = { role_name: 'first' };
    const renamed = await live.call('PATCH', `${ROOTS}/roles/roles/second`, { body });
    expect([renamed.status, renamed.json['error']]).toEqual([409, expect.objectContaining(taken)]);
    await newRoot('roles-2');
    expect((await newRole('roles-2', 'first')).name).toBe('first');
    const own = await live.call('PATCH', `${ROOTS}/roles/roles/first`, { body });
    expect(own.status).toBe(200);
  });

  it('is gone once it is deleted', async () => {
    await newRole('roles', 'gone', { allowed_domains: ['a.b'] });
    const gone = await live.call('DELETE', `${ROOTS}/roles/roles/gone`);
    expect([gone.status, gone.json['data']]).toEqual([200, { deleted: true }]);
    for (const answer of [
      await live.call('DELETE', `${ROOTS}/roles/roles/gone`),
      await live.call('PATCH', `${ROOTS}/roles/roles/gone`, { body: { allow_acme: true } }),
      await post(`${ROOTS}/roles/issue/gone`, { san_dns: ['a.b'] }),
      await post(`${ROOTS}/roles/sign/gone`, { csr_pem: CSR_PEM }),
    ])
      expect([answer.status, answer.json['error'].message]).toEqual([404, 'Role not found']);
  });
});

describe('the reserved root', () => {
  const NAMED = `${ROOTS}/:name/`;
  const READS = ['GET cert', 'GET crl'];
  /** Of every call that names a root, with a body that is taken of another. */
  const BODIES: Readonly<Record<string, object>> = {
    'POST rotate-intermediate': {},
    'POST retire': {},
    'POST revoke': { serial_hex: 'ab12' },
    'POST roles': { role_name: 'x' },
    'PATCH roles/:role': { allow_acme: true },
    'POST issue/:role': {},
    'POST sign/:role': { csr_pem: CSR_PEM },
    'POST roles/:role/acme-keys': {},
    'POST roles/:role/acme-accounts/:account/revoke': {},
  };

  it('is 403 by its name and by its id, for all that does not read it, and 401 to who shows no credential', async () => {
    const scope = { tenantId: rig.tenant.id, sandbox: false };
    await rig.services.clientCa.prepare(scope, { id: UNKNOWN, name: 'client' });
    const { json } = await live.call('GET', ROOTS);
    const { id } = json['data'].find(({ name }: { name: string }) => name === '_clients');
    expect((await live.call('GET', `${ROOTS}/${id}/cert`)).status).toBe(200);
    const calls = mountedRoutes(rig.routes).flatMap(({ definition: { method, path }, mount }) => {
      const part = path.startsWith(NAMED) ? path.slice(NAMED.length) : undefined;
      const body = BODIES[`${method} ${part}`];
      return part === undefined || READS.includes(`${method} ${part}`) ? [] : [{ method, part, mount, body }];
    });
    expect(calls.length).toBe(2 * 16);
    for (const { method, part, mount, body } of calls) {
      for (const name of ['_clients', id]) {
        const path = `${ROOTS}/${name}/${part.replace(/:\w+/g, 'ab12')}`;
        const { status, json } = await rig.world(mount, rig.tenant, 'live').call(method, path, { body });
        expect([mount, method, path, status, json['error']]).toEqual([
          mount,
          method,
          path,
          403,
          expect.objectContaining({ type: 'forbidden', message: expect.stringContaining('only be read') }),
        ]);
        const anonymous = await rig.ask(method, path.replace('/v1/', `/${mount}/`), { body });
        expect([mount, method, path, anonymous.status]).toEqual([mount, method, path, 401]);
      }
    }
  });
});

describe('a bad body', () => {
  const TTL = 'max_ttl_seconds';
  beforeAll(async () => {
    await newRoot('bad');
    await newRole('bad', 'web', { allowed_domains: ['a.b'], allow_ip_sans: false });
    await newRole('bad', 'deep', { allowed_domains: ['a.b'], allow_subdomains: true });
    await newRole('bad', 'none');
  });
  const counts = async () => {
    const lists = [ROOTS, `${ROOTS}/bad/roles`, `${ROOTS}/bad/certs`].map((path) => live.call('GET', path));
    return (await Promise.all(lists)).map(({ json }) => json['data'].length);
  };

  it.each<[path: string, body: unknown, field: string, rule: string]>([
    ['', {}, 'name', 'is required'],
    ['', { name: '' }, 'name', '>=1'],
    ['', { name: 'x'.repeat(256) }, 'name', '<=255'],
    ['', { name: '_clients' }, 'name', 'reserved'],
    ['', { name: '_x' }, 'name', 'reserved'],
    ['', { name: 'a\nb' }, 'name', 'control characters'],
    ['', { name: ' a' }, 'name', 'begin or end with a space'],
    ['', { name: '..' }, 'name', 'a dot or two'],
    ['', { name: UNKNOWN }, 'name', 'form of an id'],
    ['', { name: 'x'.repeat(65) }, 'subject.CN', 'must be given'],
    ['', { name: 'b', subject: { C: 'Germany' } }, 'subject.C', 'two letters'],
    ['', { name: 'b', subject: { CN: 'x'.repeat(65) } }, 'subject.CN', 'at most 64 characters'],
    ['', { name: 'b', subject: { CN: 'x', common_name: 'x' } }, 'subject.common_name', 'same field as CN'],
    ['', { name: 'b', subject: { email: 'x' } }, 'subject.email', 'is not known here'],
    ['', { name: 'b', subject: 'CN=x' }, 'subject', 'object'],
    ['', { name: 'b', key_algorithm: 'ed25519' }, 'key_algorithm', 'must be one of ecdsa-p256'],
    ['', { name: 'b', key_algorithm: 'rsa-1024' }, 'key_algorithm', 'must be one of ecdsa-p256'],
    ['', { name: 'b', ttl: 1 }, 'ttl', 'is not known here'],
    ['/bad/roles', {}, 'role_name', 'is required'],
    ['/bad/roles', { role_name: '_x' }, 'role_name', 'reserved'],
    ['/bad/roles', { role_name: 'r', allowed_domains: ['*'] }, 'allowed_domains[0]', 'star'],
    [
      '/bad/roles',
      { role_name: 'r', allowed_domains: ['a.b', 'a_b'] },
      'allowed_domains[1]',
      '"a_b" is no DNS name',
    ],
    ['/bad/roles', { role_name: 'r', allowed_domains: ['10.0.0.1'] }, 'allowed_domains[0]', 'use san_ip'],
    ['/bad/roles', { role_name: 'r', allowed_domains: Array(501).fill('a.b') }, 'allowed_domains', '<=500'],
    ['/bad/roles', { role_name: 'r', [TTL]: 0 }, TTL, '>=1'],
    ['/bad/roles', { role_name: 'r', [TTL]: 3_651 * 86_400 }, TTL, '<=315360000'],
    [
      '/bad/roles',
      { role_name: 'r', [TTL]: 60, default_ttl_seconds: 61 },
      'default_ttl_seconds',
      'max_ttl_seconds',
    ],
    [
      '/bad/roles',
      { role_name: 'r', default_ttl_seconds: 7_776_001 },
      'default_ttl_seconds',
      'max_ttl_seconds',
    ],
    ['/bad/roles', { role_name: 'r', key_algorithm: 'x' }, 'key_algorithm', 'must be one of'],
    ['/bad/rotate-intermediate', { force: true }, 'force', 'is not known here'],
    ['/bad/retire', { force: true }, 'force', 'is not known here'],
    ['/bad/revoke', {}, 'serial_hex', 'is required'],
    ['/bad/revoke', { serial_hex: 'xyz' }, 'serial_hex', 'serial number in hex'],
    ['/bad/revoke', { serial_hex: '0x12' }, 'serial_hex', 'serial number in hex'],
    ['/bad/revoke', { serial_hex: 'a'.repeat(41) }, 'serial_hex', 'serial number in hex'],
    ['/bad/revoke', { serial_hex: 'ab', reason: '' }, 'reason', '>=1'],
    ['/bad/revoke', { serial_hex: 'ab', reason: 'x'.repeat(256) }, 'reason', '<=255'],
    ['/bad/revoke', { serial_hex: 'ab', reason: 'a\0b' }, 'reason', ''],
    ['/bad/issue/web', {}, 'san_dns', 'must name something'],
    [
      '/bad/issue/web',
      { san_dns: ['Evil.com'] },
      'san_dns[0]',
      '"Evil.com" is matched by no entry of allowed_domains',
    ],
    ['/bad/issue/web', { san_dns: ['a.b', 'x.a.b'] }, 'san_dns[1]', '"x.a.b" lies below a.b'],
    ['/bad/issue/web', { san_dns: ['*.a.b'] }, 'san_dns[0]', 'allow_wildcards off'],
    ['/bad/issue/web', { san_dns: ['a b'] }, 'san_dns[0]', 'is no DNS name'],
    ['/bad/issue/web', { san_dns: [''] }, 'san_dns[0]', '>=1'],
    ['/bad/issue/web', { san_dns: Array(101).fill('a.b') }, 'san_dns', '<=100'],
    ['/bad/issue/web', { subject: { CN: 'evil.com' } }, 'subject.CN', '"evil.com" is matched by no entry'],
    // Each of them is eight characters as it is certified.
    ['/bad/issue/deep', { subject: { CN: `${'ä.'.repeat(20)}a.b` } }, 'subject.CN', 'at most 64 characters'],
    [
      '/bad/issue/web',
      { subject: { CN: 'Jane Doe' }, san_dns: ['a.b'] },
      'subject.CN',
      '"Jane Doe" is no DNS name',
    ],
    ['/bad/issue/web', { subject: { CN: '10.0.0.1' }, san_dns: ['a.b'] }, 'subject.CN', 'allow_ip_sans off'],
    ['/bad/issue/web', { subject: { O: '' }, san_dns: ['a.b'] }, 'subject.O', 'must not be empty'],
    ['/bad/issue/web', { san_dns: ['a.b'], san_ip: ['10.0.0.1'] }, 'san_ip[0]', 'allow_ip_sans off'],
    [
      '/bad/issue/web',
      { san_dns: ['a.b'], san_ip: ['010.0.0.1'] },
      'san_ip[0]',
      'is no IPv4 or IPv6 address',
    ],
    [
      '/bad/issue/web',
      { san_dns: ['a.b'], san_ip: ['10.0.0.0/8'] },
      'san_ip[0]',
      'is no IPv4 or IPv6 address',
    ],
    [
      '/bad/issue/web',
      { san_dns: ['a.b'], san_ip: ['fe80::1%eth0'] },
      'san_ip[0]',
      'is no IPv4 or IPv6 address',
    ],
    ['/bad/issue/web', { san_dns: ['a.b'], ttl_seconds: 0 }, 'ttl_seconds', '>=1'],
    ['/bad/issue/web', { san_dns: ['a.b'], ttl_seconds: 1.5 }, 'ttl_seconds', 'int'],
    ['/bad/issue/web', { san_dns: ['a.b'], ttl_seconds: '60' }, 'ttl_seconds', 'number'],
    ['/bad/issue/none', { san_dns: ['a.b'] }, 'role', 'allowed_domains of the role is empty'],
    ['/bad/issue/none', { san_ip: ['10.0.0.1'] }, 'role', 'allowed_domains of the role is empty'],
    ['/bad/sign/web', {}, 'csr_pem', 'is required'],
    ['/bad/sign/web', { csr_pem: 'x' }, 'csr_pem', 'CERTIFICATE REQUEST'],
    ['/bad/sign/web', { csr_pem: CSR_PEM }, 'csr_pem', '"csr.example.internal" is matched by no entry'],
    ['/bad/sign/web', { csr_pem: CSR_PEM.replace('MIIB', 'MIIC') }, 'csr_pem', 'RFC 2986'],
    ['/bad/sign/none', { csr_pem: CSR_PEM }, 'role', 'allowed_domains of the role is empty'],
  ])('POST %s (%#) names field and rule', async (path, body, field, rule) => {
    const before = await counts();
    const { status, json } = await post(`${ROOTS}${path}`, body);
    expect([status, json['error'].type]).toEqual([400, 'validation_error']);
    const fields = json['fields'] as Record<string, string[]>;
    expect(Object.keys(fields)).toContain(field);
    expect(fields[field]!.join()).toContain(rule);
    expect(json['error'].message).toContain(Object.keys(fields)[0]);
    expect(await counts()).toEqual(before);
  });

  it.each<[body: unknown, field: string, rule: string]>([
    [{}, 'body', 'at least one field'],
    [{ name: 'x' }, 'name', 'is not known here'],
    [{ role_name: '' }, 'role_name', '>=1'],
    [{ allowed_domains: ['*'] }, 'allowed_domains[0]', 'star'],
    [{ max_ttl_seconds: 60 }, 'max_ttl_seconds', 'default_ttl_seconds, 2592000: give both'],
    [{ default_ttl_seconds: 7_776_001 }, 'default_ttl_seconds', 'max_ttl_seconds, 7776000'],
  ])('PATCH of a role %j names %s: %s', async (body, field, rule) => {
    const before = (await live.call('GET', `${ROOTS}/bad/roles`)).json['data'];
    const { status, json } = await live.call('PATCH', `${ROOTS}/bad/roles/web`, { body });
    expect([status, json['fields']?.[field]?.join()]).toEqual([400, expect.stringContaining(rule)]);
    expect((await live.call('GET', `${ROOTS}/bad/roles`)).json['data']).toEqual(before);
  });

  it('names every name that the role does not allow', async () => {
    const body = { subject: { CN: 'c.d' }, san_dns: ['a.b', 'e.f', 'g.h'], san_ip: ['10.0.0.1'] };
    const { json } = await post(`${ROOTS}/bad/issue/web`, body);
    expect(Object.keys(json['fields'])).toEqual(['subject.CN', 'san_dns[1]', 'san_dns[2]', 'san_ip[0]']);
  });

  it('names a bad query of the list', async () => {
    const { status, json } = await live.call('GET', `${ROOTS}/bad/certs?status=gone&page=0`);
    expect([status, Object.keys(json['fields']).sort()]).toEqual([400, ['page', 'status']]);
  });
});
