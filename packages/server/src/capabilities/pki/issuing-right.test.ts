import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';

/** Who may change roles and not issue gets no certificate by way of an ACME client either. */
const ROLES = '/v1/pki/roots/rights/roles';
const NAMES = { allowed_domains: ['a.b'], allow_wildcards: false };
/** What ACME clients may use already. */
const OPEN = { ...NAMES, allow_acme: true };

let rig: MatrixRig;
let live: World;
let writer: string;
let issuer: string;
beforeAll(async () => {
  rig = await openMatrixRig();
  live = rig.world('v1', rig.tenant, 'live');
  await live.create('/v1/pki/roots', { name: 'rights' });
  [writer, issuer] = [
    await keyWith('pki:read', 'pki:write'),
    await keyWith('pki:read', 'pki:write', 'pki:issue'),
  ];
});
afterAll(() => rig.close());

async function keyWith(...permissions: string[]): Promise<string> {
  const grants = permissions.map((permission) => ({ permission }));
  const { json } = await live.call('POST', '/v1/api-keys', { body: { name: 'narrow', grants } });
  return json['data'].api_key;
}

let made = 0;
async function newRole(terms: object): Promise<string> {
  const { json } = await live.call('POST', ROLES, { body: { role_name: `role-${++made}`, ...terms } });
  return `${ROLES}/${json['data'].id}`;
}

async function outcome(key: string, method: string, path: string, body: object) {
  const { status, json } = await live.call(method, path, { key, body });
  return status < 300 ? status : `${status} ${json['error'].type}`;
}

const REFUSED = '403 privilege_escalation';

it.each([
  ['lets ACME in', NAMES, { allow_acme: true }],
  ['lets ACME in again with what it had', { ...NAMES, acme_require_eab: false }, { allow_acme: true }],
  ['needs no key any longer', OPEN, { acme_require_eab: false }],
  ['takes a further domain', OPEN, { allowed_domains: ['a.b', 'c.d'] }],
  ['takes what is below', OPEN, { allow_subdomains: true }],
  ['takes wildcards', OPEN, { allow_wildcards: true }],
  ['lasts longer', { ...OPEN, default_ttl_seconds: 60 }, { default_ttl_seconds: 61 }],
])('a change by which a role %s needs pki:issue too', async (_, terms, change) => {
  const path = await newRole(terms);
  expect(await outcome(writer, 'PATCH', path, change)).toBe(REFUSED);
  const before = (await live.call('GET', ROLES)).json['data'].find(({ id }: { id: string }) =>
    path.endsWith(id),
  );
  expect(before).toMatchObject(terms);
  expect(await outcome(issuer, 'PATCH', path, change)).toBe(200);
});

it.each([
  ['is renamed', OPEN, { role_name: 'renamed' }],
  ['needs a key', { ...OPEN, acme_require_eab: false }, { acme_require_eab: true }],
  ['takes fewer names', { ...OPEN, allowed_domains: ['a.b', 'c.d'], allow_wildcards: true }, NAMES],
  ['lets ACME in no longer', OPEN, { allow_acme: false, allowed_domains: ['c.d'] }],
  ['takes more, without ACME', NAMES, { allowed_domains: ['c.d'], acme_require_eab: false }],
])('a change by which a role %s does not', async (_, terms, change) => {
  expect(await outcome(writer, 'PATCH', await newRole(terms), change)).toBe(200);
});

it('a role is made for ACME, and a key of one, by who may issue alone', async () => {
  expect(await outcome(writer, 'POST', ROLES, { role_name: 'plain', ...NAMES })).toBe(201);
  expect(await outcome(writer, 'POST', ROLES, { role_name: 'open', ...OPEN })).toBe(REFUSED);
  expect(await outcome(issuer, 'POST', ROLES, { role_name: 'open', ...OPEN })).toBe(201);
  for (const role of ['open', 'plain']) {
    const keys = `${ROLES}/${role}/acme-keys`;
    expect(await outcome(writer, 'POST', keys, {})).toBe(REFUSED);
    expect((await live.call('GET', keys)).json['data']).toEqual([]);
    expect(await outcome(issuer, 'POST', keys, {})).toBe(201);
  }
});
