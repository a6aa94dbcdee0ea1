import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { USER_ROLES, type UserRole } from '../../kernel/principal.js';
import type { TestCall } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { accountsTables } from '../accounts/tables.js';
import { createTenantSwitch } from '../plans/index.js';

let harness: Harness;
let token: string;
/** Of the owner of the second tenant, who is also a developer in the first. */
let tokenOfTwo: string;
let tokens: Record<UserRole, string>;

beforeAll(async () => {
  harness = await createHarness();
  const { tenant, other } = harness;
  token = await harness.signIn(tenant.ownerEmail);
  await harness.join(other.ownerEmail, tenant.id, 'developer');
  tokenOfTwo = await harness.signIn(other.ownerEmail);
  tokens = { owner: token, admin: '', developer: '', viewer: '' };
  for (const role of USER_ROLES.filter((name) => name !== 'owner'))
    tokens[role] = await harness.signInAs(role);
});
afterAll(() => harness.close());

const people = () => harness.db.view(accountsTables);

const list = (call: TestCall) => harness.call('GET', '/admin/api-keys', call);
const keyNames = async (call: TestCall) => {
  const { status, json } = await list(call);
  return [status, (json['data'] as { name: string }[] | undefined)?.map(({ name }) => name)];
};
async function outcome(call: TestCall): Promise<[number, unknown]> {
  const answer = await list(call);
  return [answer.status, answer.json['error']?.['type']];
}

const LIVE = ['live key'];
const TEST = ['test key'];
const test = { 'x-knoxcall-mode': 'test' };
const live = { 'x-knoxcall-mode': 'live' };

describe('200', () => {
  it.each([
    ['live where nothing is said', {}, undefined, LIVE],
    ['live where it is said', live, undefined, LIVE],
    ['test by the header', test, undefined, TEST],
    ['test by the header in capitals', { 'x-knoxcall-mode': 'TEST' }, undefined, TEST],
    ['test by the sandbox host', {}, 'sandbox.localhost', TEST],
    ['test by both', test, 'sandbox.localhost', TEST],
    ['test by the header on the live host', test, 'api.localhost', TEST],
    ['live on its tenant host', {}, 'acme.localhost', LIVE],
    ['test on its sandbox tenant host', {}, 'sandbox-acme.localhost', TEST],
  ])('%s', async (_, headers, host, names) => {
    expect(
      await keyNames({ token, headers: headers as Record<string, string>, ...(host && { host }) }),
    ).toEqual([200, names]);
  });

  it('a user of several tenants names the one, by header or by host', async () => {
    for (const { id } of [harness.tenant, harness.other]) {
      const headers = { 'x-tenant-id': id.toUpperCase() };
      expect(await keyNames({ token: tokenOfTwo, headers })).toEqual([200, LIVE]);
    }
    expect(await keyNames({ token: tokenOfTwo, host: 'globex.localhost' })).toEqual([200, LIVE]);
  });

  it('makes a key as the user, audited as the user', async () => {
    const made = await harness.call('POST', '/admin/api-keys', {
      token,
      headers: test,
      body: { name: 'by owner' },
    });
    expect([made.status, made.json['data']?.['key_type']]).toEqual([201, 'test']);
    const me = await harness.call('GET', '/admin/auth/me', { token });
    const rows = await harness.call(
      'GET',
      `/admin/audit-logs?user_id=${me.json['user']['id']}&action=create`,
      {
        token,
      },
    );
    expect(rows.json['data']).toMatchObject([
      { action: 'api_key.create', details: { name: 'by owner', sandbox: true } },
    ]);
  });

  it('me tells the role in the chosen tenant, or none where several could be meant', async () => {
    const me = async (headers: Record<string, string>) =>
      (await harness.call('GET', '/admin/auth/me', { token: tokenOfTwo, headers })).json;
    const chosen = await me({ 'x-tenant-id': harness.tenant.id });
    expect([chosen['tenant_id'], chosen['role']]).toEqual([harness.tenant.id, 'developer']);
    expect(chosen['permissions']).not.toContain('team:write');
    const open = await me({});
    expect([open['tenant_id'], open['role'], open['permissions']]).toEqual([null, null, []]);
    expect(open['tenants'].map(({ slug }: { slug: string }) => slug).sort()).toEqual(['acme', 'globex']);
  });

  it('audit details are for Owner and Admin', async () => {
    for (const role of USER_ROLES) {
      const { json } = await harness.call('GET', '/admin/audit-logs?action=api_key.create', {
        token: tokens[role],
      });
      const hasDetails = role === 'owner' || role === 'admin';
      for (const row of json['data']) {
        expect([role, row.details_redacted]).toEqual([role, hasDetails ? undefined : true]);
        expect(Object.keys(row.details).length > 0).toBe(hasDetails);
      }
      expect(json['data'].length).toBeGreaterThan(0);
    }
  });
});

describe('400', () => {
  it.each([
    ['an X-Tenant-ID that is none', { 'x-tenant-id': 'acme' }, undefined],
    ['one that names another tenant than the host', { 'x-tenant-id': 'other' }, 'acme.localhost'],
    ['a mode that is none', { 'x-knoxcall-mode': 'sandbox' }, undefined],
  ])('%s', async (_, given, host) => {
    const headers = { ...given } as Record<string, string>;
    if (headers['x-tenant-id'] === 'other') headers['x-tenant-id'] = harness.other.id;
    const call = {
      token: tokenOfTwo,
      headers: { 'x-tenant-id': harness.tenant.id, ...headers },
      ...(host && { host }),
    };
    expect(await outcome(call)).toEqual([400, 'validation_error']);
  });

  it('no tenant where the user has several', async () => {
    const answer = await list({ token: tokenOfTwo });
    expect([answer.status, Object.keys(answer.json['fields'])]).toEqual([400, ['X-Tenant-ID']]);
  });
});

describe('403', () => {
  it('live on the sandbox host', async () => {
    expect(await outcome({ token, headers: live, host: 'sandbox.localhost' })).toEqual([
      403,
      'wrong_key_type',
    ]);
  });

  it('a permission that the role lacks, by name', async () => {
    const call = { token: tokens.viewer, body: { name: 'x' } };
    const { status, json } = await harness.call('POST', '/admin/api-keys', call);
    expect([status, json['error']?.['type']]).toEqual([403, 'forbidden']);
    expect(json['error']?.['message']).toContain('api-keys:write');
    expect((await list({ token: tokens.viewer })).status).toBe(200);
  });

  it('a paused tenant, whose users can still see who they are', async () => {
    const { id } = harness.other;
    const tenants = createTenantSwitch(harness);
    await tenants.changeBySlug(harness.other.slug, { subscriptionStatus: 'paused' });
    const headers = { 'x-tenant-id': id };
    expect(await outcome({ token: tokenOfTwo, headers })).toEqual([403, 'subscription_inactive']);
    expect((await harness.call('GET', '/admin/auth/me', { token: tokenOfTwo, headers })).status).toBe(200);
    // Those that the contract leaves to a paused tenant stay open to its users too (auth.md §11).
    const account = await harness.call('GET', '/admin/account', { token: tokenOfTwo, headers });
    expect([account.status, account.json['data'].subscription_status]).toEqual([200, 'paused']);
    await tenants.changeBySlug(harness.other.slug, { subscriptionStatus: 'active' });
    expect((await list({ token: tokenOfTwo, headers })).status).toBe(200);
  });
});

describe('404', () => {
  it('an unknown tenant and a foreign one are one answer', async () => {
    for (const id of ['00000000-0000-4000-8000-00000000dead', harness.other.id]) {
      const { status, json } = await list({ token, headers: { 'x-tenant-id': id } });
      const error = { ...json['error'], request_id: '' };
      expect([status, error]).toEqual([
        404,
        { type: 'not_found', message: 'Tenant not found', request_id: '' },
      ]);
    }
  });

  it.each(['nobody.localhost', 'globex.localhost'])('the host %s', async (host) => {
    expect(await outcome({ token, host })).toEqual([404, 'tenant_not_found']);
  });

  it('from the call on that follows the end of a membership', async () => {
    const mine = await harness.signInAs('developer').catch(() => tokens.developer);
    const headers = { 'x-tenant-id': harness.tenant.id };
    expect((await list({ token: mine, headers })).status).toBe(200);
    await people()
      .scoped({ tenantId: harness.tenant.id })
      .deleteFrom('memberships')
      .where('role', '=', 'developer')
      .execute();
    expect(await outcome({ token: mine, headers })).toEqual([404, 'not_found']);
    expect(await outcome({ token: mine })).toEqual([400, 'validation_error']);
  });
});
