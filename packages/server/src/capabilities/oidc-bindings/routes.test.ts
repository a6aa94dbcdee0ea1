import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { type OidcIssuers, startOidcIssuers } from '../../testing/oidc-issuers.js';
import { SEEDED_ROLES } from '../permissions/index.js';

const PATH = '/v1/oidc-bindings';
const GITHUB = 'https://token.actions.githubusercontent.com';
const OWN = 'https://idp.example.net';
const [INVOKE, READ_ONLY] = SEEDED_ROLES.map(({ id }) => id);

let harness: Harness;
let issuers: OidcIssuers;
beforeAll(async () => {
  issuers = await startOidcIssuers([
    'idp.example.net',
    'other.example.net',
    'token.actions.githubusercontent.com',
  ]);
  issuers.dns.set('private.example.net', ['10.0.0.1']);
  harness = await createHarness({ egress: issuers.egress });
});
afterAll(async () => {
  await harness.close();
  await issuers.close();
});

const minimal = { issuer: GITHUB, subject: 'repo:acme/shop:ref:refs/heads/main', scopes: ['vaults:read'] };
const post = (body: unknown, key: Harness['tenant']['live'] | string = harness.tenant.live) =>
  harness.call('POST', PATH, { key, body });
const patch = (id: string, body: unknown, key: Harness['tenant']['live'] | string = harness.tenant.live) =>
  harness.call('PATCH', `${PATH}/${id}`, { key, body });
const create = async (body: unknown = minimal): Promise<JsonTree> =>
  (await post(body)).json['data'] as JsonTree;
const problemOf = (answer: { status: number; json: JsonTree }) => [answer.status, answer.json['error']?.type];

async function lastAudit(action: string): Promise<JsonTree> {
  const answer = await harness.call('GET', `/v1/audit-logs?action=${action}`, { key: harness.tenant.live });
  return answer.json['data'][0];
}

async function keyWith(...permissions: string[]): Promise<string> {
  const grants = permissions.map((permission) => ({ permission }));
  const answer = await harness.call('POST', '/v1/api-keys', {
    key: harness.tenant.live,
    body: { name: 'k', grants },
  });
  return answer.json['data'].api_key;
}

describe('201', () => {
  it('takes an issuer with a subject; the rest is found by it or is usual', async () => {
    const answer = await post(minimal);
    expect(answer.status).toBe(201);
    expect(answer.json['data']).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'github_actions',
      provider: 'github_actions',
      issuer: GITHUB,
      audiences: ['knoxcall:api:acme', 'knoxcall:api', 'knoxcall:gateway'],
      subject: minimal.subject,
      claims: {},
      target: 'management',
      role_ids: null,
      scopes: ['vaults:read'],
      agent_id: null,
      ttl_seconds: 3_600,
      enabled: true,
      sandbox: false,
      last_used_at: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
  });

  it('takes everything else too, and tells it in its audit row', async () => {
    const body = {
      name: 'deploy',
      provider: 'custom',
      issuer: OWN,
      audiences: ['knoxcall:api:acme', 'https://vault.example'],
      claims: { team: 'payments', env: ['prod', 'stage', 'prod'], one: ['x'] },
      role_ids: [INVOKE],
      ttl_seconds: 60,
      enabled: false,
    };
    const made = await create(body);
    expect(made).toMatchObject({
      ...body,
      claims: { team: 'payments', env: ['prod', 'stage'], one: 'x' },
      subject: null,
    });
    expect(await lastAudit('oidc_binding.create')).toMatchObject({
      resource_type: 'oidc_binding',
      resource_id: made['id'],
      details: { name: 'deploy', issuer: OWN, role_ids: [INVOKE], enabled: false, sandbox: false },
    });
  });

  it('takes an issuer that does not answer now', async () => {
    expect((await post({ ...minimal, issuer: 'https://not-yet.example.net', subject: 'a:b:c' })).status).toBe(
      201,
    );
  });
});

describe('200', () => {
  it('lists and reads the bindings of one mode', async () => {
    const { id } = await create();
    const list = await harness.call('GET', `${PATH}?per_page=100&sort=name&order=asc`, {
      key: harness.tenant.live,
    });
    expect(list.json['data'].map((row: JsonTree) => row['id'])).toContain(id);
    expect(list.json['meta']).toMatchObject({ page: 1, per_page: 100, total_pages: 1 });
    const one = await harness.call('GET', `${PATH}/${id}`, { key: harness.tenant.live });
    expect(one.json['data'].id).toBe(id);
    const inTest = await harness.call('GET', PATH, { key: harness.tenant.test });
    expect(inTest.json['data']).toEqual([]);
  });

  it('changes what is named and nothing else', async () => {
    const { id } = await create();
    const answer = await patch(id, {
      subject: null,
      claims: { repository_id: '74' },
      role_ids: [READ_ONLY],
      ttl_seconds: 900,
    });
    expect(answer.status).toBe(200);
    expect(answer.json['data']).toMatchObject({
      id,
      issuer: GITHUB,
      subject: null,
      claims: { repository_id: '74' },
      role_ids: [READ_ONLY],
      scopes: null,
      ttl_seconds: 900,
    });
    expect((await lastAudit('oidc_binding.update'))['details'].changed.sort()).toEqual([
      'access',
      'claims',
      'subject',
      'ttl_seconds',
    ]);
  });

  it('another issuer brings its provider', async () => {
    const { id } = await create();
    const moved = await patch(id, { issuer: OWN, subject: 'kind:owner:*' });
    expect(moved.json['data']).toMatchObject({ issuer: OWN, provider: 'custom' });
  });

  it('is gone when it is deleted', async () => {
    const { id } = await create();
    const gone = await harness.call('DELETE', `${PATH}/${id}`, { key: harness.tenant.live });
    expect(gone.json['data']).toEqual({ deleted: true });
    expect((await lastAudit('oidc_binding.delete'))['resource_id']).toBe(id);
    for (const again of [
      harness.call('GET', `${PATH}/${id}`, { key: harness.tenant.live }),
      harness.call('DELETE', `${PATH}/${id}`, { key: harness.tenant.live }),
      patch(id, { enabled: true }),
    ])
      expect(problemOf(await again)).toEqual([404, 'not_found']);
  });
});

describe('400 names the field and writes nothing', () => {
  it.each([
    ['issuer', { issuer: 'http://idp.example.net' }],
    ['issuer', { issuer: 'https://IDP.example.net' }],
    ['issuer', { issuer: 'https://idp.example.net:443' }],
    ['issuer', { issuer: 'https://idp.example.net/?a=b' }],
    ['issuer', { issuer: 'https://idp.example.net/#a' }],
    ['issuer', { issuer: 'https://user@idp.example.net' }],
    ['issuer', { issuer: 'https://idp.example.net/a/../b' }],
    ['issuer', { issuer: 'https://127.0.0.1' }],
    ['issuer', { issuer: 'https://localhost' }],
    ['issuer', { issuer: 'https://idp.example.net:6379' }],
    ['issuer', { issuer: '' }],
    ['provider', { provider: 'custom' }],
    ['provider', { provider: 'jenkins' }],
    ['subject', { subject: null }],
    ['subject', { subject: '*' }],
    ['subject', { subject: 'repo:*/shop:pull_request' }],
    ['subject', { subject: 'x'.repeat(LIMITS.oidcSubjectCharactersMax + 1) }],
    ['subject', { subject: `repo:acme/${'*a'.repeat(9)}` }],
    ['subject', { subject: 'repo:acme/\u0000' }],
    ['audiences', { audiences: [] }],
    ['audiences', { audiences: ['knoxcall:api:globex'] }],
    ['claims.sub', { claims: { sub: 'x' } }],
    ['claims.repository', { claims: { repository: 'acme/*' } }],
    ['claims.repository', { claims: { repository: [] } }],
    ['claims.repository', { claims: { repository: 1 } }],
    ['claims', { claims: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`c${n}`, 'x'])) }],
    ['target', { target: 'gateway' }],
    ['agent_id', { agent_id: 'b9419818-09af-49c2-b0c3-653adc1f376e' }],
    ['scopes[0]', { scopes: ['vaults:*'] }],
    ['scopes[0]', { scopes: ['team:write'] }],
    ['role_ids', { role_ids: [INVOKE] }],
    ['role_ids', { scopes: undefined }],
    ['ttl_seconds', { ttl_seconds: 59 }],
    ['ttl_seconds', { ttl_seconds: 3_601 }],
    ['sandbox', { sandbox: true }],
  ] as const)('%s: %j', async (field, more) => {
    const before = await harness.call('GET', PATH, { key: harness.tenant.live });
    const answer = await post({ ...minimal, ...more });
    expect(problemOf(answer)).toEqual([400, 'validation_error']);
    const fields = answer.json['fields'] as object | undefined;
    expect(field === 'sandbox' || Object.keys(fields ?? {}).join()).toSatisfy(
      (names: string | true) => names === true || names.includes(field),
    );
    const after = await harness.call('GET', PATH, { key: harness.tenant.live });
    expect(after.json['meta'].total).toBe(before.json['meta'].total);
  });

  it('says what is missing where any stranger’s workload would do', async () => {
    const answer = await post({ ...minimal, subject: null });
    expect(answer.json['fields']).toEqual({
      subject: [
        "tells no stranger's workload apart: workflows of every GitHub repository have this issuer; give the claim repository, or the claim repository_id, or the claim repository_owner_id, or a subject such as repo:<owner>/<repository>:ref:refs/heads/main",
      ],
    });
  });

  it('X19 where discovery names another issuer', async () => {
    const issuer = issuers.at('https://other.example.net');
    issuer.discovery = { issuer: 'https://idp.example.net' };
    const answer = await post({ ...minimal, issuer: issuer.issuer, subject: 'a:b:c' });
    expect(answer.json['fields']).toEqual({
      issuer: ['the discovery document that is found there names another issuer'],
    });
    const { id } = await create();
    expect(problemOf(await patch(id, { issuer: issuer.issuer, subject: 'a:b:c' }))).toEqual([
      400,
      'validation_error',
    ]);
  });

  it.each([
    {},
    { subject: '*' },
    { provider: 'gcp' },
    { audiences: ['knoxcall:api:globex'] },
    { subject: null },
  ])('a change to %j', async (changes) => {
    const { id } = await create();
    expect(problemOf(await patch(id, changes))).toEqual([400, 'validation_error']);
  });
});

describe('403', () => {
  it('an issuer that resolves to a private address', async () => {
    const answer = await post({ ...minimal, issuer: 'https://private.example.net', subject: 'a:b:c' });
    expect(problemOf(answer)).toEqual([403, 'ssrf_blocked']);
  });

  it('gives no more than its maker holds', async () => {
    const key = await keyWith('oidc-bindings:write', 'vaults:read');
    expect((await post(minimal, key)).status).toBe(201);
    const answer = await post({ ...minimal, scopes: ['vaults:read', 'vaults:write'] }, key);
    expect(problemOf(answer)).toEqual([403, 'privilege_escalation']);
    expect(answer.json['error'].message).toContain('vaults:write');
    expect(problemOf(await post({ ...minimal, scopes: undefined, role_ids: [INVOKE] }, key))).toEqual([
      403,
      'privilege_escalation',
    ]);
  });

  it('lets nobody point at himself what gives more than he holds', async () => {
    const key = await keyWith('oidc-bindings:write', 'vaults:read');
    const { id } = await create({ ...minimal, scopes: ['vaults:write'], enabled: false });
    for (const change of [
      { subject: 'repo:mallory/shop:pull_request' },
      { claims: {} },
      { audiences: ['x'] },
      { enabled: true },
      { ttl_seconds: 60 },
    ])
      expect(problemOf(await patch(id, change, key))).toEqual([403, 'privilege_escalation']);
    expect((await patch(id, { name: 'n', enabled: false }, key)).status).toBe(200);
  });

  it('takes no role but the seeded ones for keys', async () => {
    const [owner] = SEEDED_ROLES.filter(({ name }) => name === 'Owner');
    const answer = await post({ ...minimal, scopes: undefined, role_ids: [owner!.id] });
    expect(problemOf(answer)).toEqual([403, 'forbidden']);
  });
});

describe('409', () => {
  it('at the bound of bindings, those deleted lately counted too', async () => {
    const { live } = harness.other;
    const body = { ...minimal, issuer: 'https://not-yet.example.net', subject: 'a:b:c' };
    const ids: string[] = [];
    for (let n = 0; n < LIMITS.oidcBindingsMax; n++) ids.push((await post(body, live)).json['data'].id);
    expect(problemOf(await post(body, live))).toEqual([409, 'conflict']);
    await harness.call('DELETE', `${PATH}/${ids[0]}`, { key: live });
    expect((await post(body, live)).status).toBe(201);
  });
});

describe('what tokens of a binding may do', () => {
  const scopeOf = () => harness.callerOf(harness.tenant, 'live').principal.scope;
  const decisionOf = (id: string) => harness.oidcBindings.decisionOf(scopeOf(), id);

  it('follows the binding at once, and is nothing when that is off, gone or another’s', async () => {
    const { id } = await create({ ...minimal, scopes: undefined, role_ids: [INVOKE] });
    expect((await decisionOf(id))?.may('proxy:invoke')).toBe(true);
    await patch(id, { scopes: ['vaults:read'] });
    expect((await decisionOf(id))?.grants).toEqual([{ permission: 'vaults:read', resource: null }]);
    expect(await harness.oidcBindings.decisionOf({ ...scopeOf(), sandbox: true }, id)).toBeNull();
    await patch(id, { enabled: false });
    expect(await decisionOf(id)).toBeNull();
    await patch(id, { enabled: true });
    await harness.call('DELETE', `${PATH}/${id}`, { key: harness.tenant.live });
    expect(await decisionOf(id)).toBeNull();
  });
});
