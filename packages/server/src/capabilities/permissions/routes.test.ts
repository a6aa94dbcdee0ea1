import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { SEEDED_ROLES } from './seeded-roles.js';
import { rolesTables } from './tables.js';

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness();
});
afterAll(() => harness.close());

const list = (query = '', key = harness.tenant.live) => harness.call('GET', `/v1/roles${query}`, { key });
const rowsOf = (answer: { json: JsonTree }) => answer.json['data'] as { name: string; seeded: boolean }[];
const namesOf = (answer: { json: JsonTree }) => rowsOf(answer).map(({ name }) => name);

/** As a database from before has it; none can be made. */
async function addOwnRole(tenantId: TenantId, name: string): Promise<void> {
  const row = {
    id: harness.ids.uuid(),
    name,
    description: null,
    applies_to: '["api_key","user"]',
    rules: '[]',
    created_at: 1,
  };
  await harness.db.view(rolesTables).scoped({ tenantId }).insertInto('roles').values(row).execute();
}

describe('200', () => {
  it('lists the seeded roles by name, with the members that the contract names', async () => {
    const answer = await list();
    expect(answer.status).toBe(200);
    expect(namesOf(answer)).toEqual([
      'Admin',
      'Developer',
      'Key — Editor',
      'Key — Infrastructure',
      'Key — Invoke',
      'Key — Read-only',
      'Owner',
      'Viewer',
    ]);
    expect(answer.json['data'][4]).toEqual({
      id: SEEDED_ROLES[0]?.id,
      name: 'Key — Invoke',
      description: expect.any(String),
      applies_to: ['api_key'],
      is_default: false,
      seeded: true,
    });
    expect(answer.json['meta']).toEqual({
      total: 8,
      page: 1,
      per_page: 20,
      total_pages: 1,
      request_id: answer.headers['x-request-id'],
    });
  });

  it('narrows to the kind of subject, in pages, in both orders', async () => {
    expect(namesOf(await list('?subject_kind=user'))).toEqual(['Admin', 'Developer', 'Owner', 'Viewer']);
    const second = await list('?subject_kind=api_key&per_page=3&page=2');
    expect(namesOf(second)).toEqual(['Key — Read-only']);
    expect(second.json['meta']).toMatchObject({ total: 4, total_pages: 2 });
    expect(namesOf(await list('?page=9'))).toEqual([]);
    expect(namesOf(await list('?sort=name&order=desc'))[0]).toBe('Viewer');
  });

  it('lists a role of the own tenant in both modes, never one of another', async () => {
    await addOwnRole(harness.tenant.id, 'Zebra');
    await addOwnRole(harness.other.id, 'Foreign');
    for (const key of [harness.tenant.live, harness.tenant.test]) {
      const rows = rowsOf(await list('', key));
      expect(rows).toHaveLength(9);
      expect(rows.at(-1)).toMatchObject({ name: 'Zebra', seeded: false, applies_to: ['api_key', 'user'] });
    }
  });
});

describe('400', () => {
  it.each([
    ['?subject_kind=agent', 'subject_kind'],
    ['?page=0', 'page'],
    ['?sort=id', 'sort'],
    ['?x=1', 'x'],
  ])('%s', async (query, field) => {
    const answer = await list(query);
    expect([answer.status, Object.keys(answer.json['fields'] ?? {})]).toEqual([400, [field]]);
  });
});

describe('404, 405', () => {
  it('no role can be made, read alone or changed', async () => {
    const statuses = await Promise.all(
      ['POST /v1/roles', 'GET /v1/roles/x', 'DELETE /v1/roles/x'].map(async (call) => {
        const [method = '', path = ''] = call.split(' ');
        return (await harness.call(method, path, { key: harness.tenant.live })).status;
      }),
    );
    expect(statuses).toEqual([405, 404, 404]);
  });
});
