import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import type { JsonTree } from '../../testing/calls.js';
import { createHarness, type Harness } from '../../testing/harness.js';

const PAN = '4111111111111111';
const NO_ROUTE = '6f1c1f0e-0000-4000-8000-000000000001';

let harness: Harness;
let ruleId: string;

beforeAll(async () => {
  harness = await createHarness();
  ruleId = String(
    (await create({ name: 'cards', match: { type: 'builtin', value: 'pan' } })).json['data']?.['id'],
  );
});
afterAll(() => harness.close());

const create = (body: unknown) =>
  harness.call('POST', '/v1/redaction-rules', { key: harness.tenant.live, body });
const change = (id: string, body: unknown) =>
  harness.call('PATCH', `/v1/redaction-rules/${id}`, { key: harness.tenant.live, body });
const test = (body: unknown) =>
  harness.call('POST', '/v1/redaction-rules/test', { key: harness.tenant.live, body });

async function planned(text: string, mode: 'live' | 'test' = 'live'): Promise<string | undefined> {
  const { scope } = harness.callerOf(harness.tenant, mode).principal;
  const plan = await harness.redaction.planFor(scope, 'ephemeral');
  return plan.head(200, ['x-echo', text]).rawHeaders[1];
}

async function audits(action: string): Promise<JsonTree[]> {
  const answer = await harness.call('GET', `/v1/audit-logs?action=${action}`, { key: harness.tenant.live });
  return answer.json['data'] as unknown as JsonTree[];
}

describe('201', () => {
  it('makes a rule with every default, audited', async () => {
    const answer = await create({ name: 'mail', match: { type: 'builtin', value: 'email' } });
    expect(answer.status).toBe(201);
    expect(answer.json['data']).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'mail',
      enabled: true,
      target: 'response',
      match: { type: 'builtin', value: 'email' },
      content_types: null,
      route_ids: null,
      proxy_modes: null,
      replacement: '[REDACTED]',
      action: 'mask',
      priority: 100,
      sandbox: false,
      created_at: '2026-01-15T09:30:00.000Z',
      updated_at: '2026-01-15T09:30:00.000Z',
    });
    const rows = await audits('redaction_rule.create');
    const row = rows.find((entry) => String(entry['resource_id']) === String(answer.json['data']?.['id']));
    expect(row?.['details']).toEqual({ name: 'mail', match_type: 'builtin', sandbox: false });
  });

  it('keeps every field that was sent', async () => {
    const body = {
      name: 'path',
      enabled: false,
      target: 'both',
      match: { type: 'json_path', value: '$..card[*]' },
      content_types: ['application/json', 'Text/*'],
      route_ids: null,
      proxy_modes: ['ephemeral'],
      replacement: '••',
      action: 'partial_last4',
      priority: 3,
    };
    const answer = await create(body);
    expect(answer.json['data']).toMatchObject({ ...body, content_types: ['application/json', 'text/*'] });
  });
});

describe('200', () => {
  it('lists, reads, changes and deletes; plans follow at once', async () => {
    const answer = await harness.call('GET', '/v1/redaction-rules?per_page=1&sort=name&order=asc', {
      key: harness.tenant.live,
    });
    expect(answer.json['data']?.[0]).toMatchObject({ id: ruleId, name: 'cards' });
    expect(answer.json['meta']).toMatchObject({ total: 3, per_page: 1, total_pages: 3 });
    expect(await planned(PAN)).toBe('[REDACTED]');
    expect(await planned(PAN, 'test')).toBe(PAN);

    harness.clock.advance(1);
    const changed = await change(ruleId, {
      replacement: '*',
      action: 'partial_last4',
      proxy_modes: ['route', 'ephemeral'],
    });
    expect(changed.json['data']).toMatchObject({
      replacement: '*',
      name: 'cards',
      updated_at: '2026-01-15T09:30:00.001Z',
    });
    expect(await planned(PAN)).toBe('*1111');
    expect((await audits('redaction_rule.update'))[0]?.['details']).toMatchObject({
      changed: ['replacement', 'action', 'proxy_modes'],
    });

    const deleted = await harness.call('DELETE', `/v1/redaction-rules/${ruleId}`, {
      key: harness.tenant.live,
    });
    expect(deleted.json['data']).toEqual({ deleted: true });
    expect(await planned(PAN)).toBe(PAN);
    expect(await audits('redaction_rule.delete')).toHaveLength(1);
  });

  it('tries rules on a sample without storing anything', async () => {
    const rules = [
      { match: { type: 'json_path', value: '$.card' }, action: 'remove' },
      { match: { type: 'builtin', value: 'pan' }, proxy_modes: ['route'] },
    ];
    const answer = await test({ sample: { card: 1, other: `${PAN} ${PAN}`, n: 2 }, rules });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json['data']).toEqual({
      result: { other: '[REDACTED] [REDACTED]', n: 2 },
      matches: [
        { rule: '0', name: 'rule under test', count: 1 },
        { rule: '1', name: 'rule under test', count: 2 },
      ],
    });
    const events = await test({ sample: `data: ${PAN}\n\n`, content_type: 'text/event-stream', rules });
    expect(events.json['data']?.['result']).toBe('data: [REDACTED]\n\n');
    const stored = await test({ sample: 'to a@b.com' });
    expect(stored.json['data']?.['result']).toBe('to [REDACTED]');
  });
});

describe('regex rules', () => {
  it('are kept, and tried as they are applied', async () => {
    const match = { type: 'regex', value: '(?i)acc-\\d+' };
    const made = await create({ name: 'accounts', match, content_types: ['application/x-tried'] });
    expect(made.status).toBe(201);
    expect(made.json['data']?.['match']).toEqual(match);
    const sample = 'Acc-12 and ACC-3';
    const stored = await test({ sample, content_type: 'application/x-tried' });
    const rule = { rule: made.json['data']?.['id'], name: 'accounts', count: 2 };
    expect(stored.json['data']).toEqual({ result: '[REDACTED] and [REDACTED]', matches: [rule] });
    const given = await test({ sample: { a: ['acc-1', 1] }, rules: [{ match }] });
    expect(given.json['data']?.['result']).toEqual({ a: ['[REDACTED]', 1] });
  });
});

describe('400', () => {
  const builtin = { type: 'builtin', value: 'pan' };
  it.each<[string, unknown, RegExp]>([
    ['name', { match: builtin }, /name/],
    ['match.value', { name: 'x', match: { type: 'regex', value: 'a(?=b)' } }, /lookahead/],
    ['match.value', { name: 'x', match: { type: 'regex', value: '(' } }, /missing closing \)/],
    ['target', { name: 'x', match: { type: 'regex', value: 'a' }, target: 'log' }, /only builtin rules do/],
    ['match.flags', { name: 'x', match: { ...builtin, flags: 'i' } }, /match\.flags.*not known/],
    ['match.value', { name: 'x', match: { type: 'builtin', value: 'iban' } }, /one of pan, email, ssn, key/],
    ['match.value', { name: 'x', match: { type: 'json_path', value: '$[?(@.a)]' } }, /filters/],
    ['match.value', { name: 'x', match: { type: 'header', value: 'a b' } }, /header name/],
    ['match.value', { name: 'x', match: { type: 'header', value: 'Content-Length' } }, /frames the message/],
    ['route_ids', { name: 'x', match: builtin, route_ids: ['a'] }, /UUID/],
    ['route_ids', { name: 'x', match: builtin, route_ids: [] }, /must name a route; null/],
    ['route_ids', { name: 'x', match: builtin, route_ids: [NO_ROUTE] }, /names no route of this mode/],
    [
      'proxy_modes',
      { name: 'x', match: builtin, route_ids: [NO_ROUTE], proxy_modes: ['ephemeral'] },
      /beside route_ids/,
    ],
    ['content_types', { name: 'x', match: builtin, content_types: ['json'] }, /media type/],
    ['proxy_modes', { name: 'x', match: builtin, proxy_modes: [] }, /proxy_modes/],
    ['replacement', { name: 'x', match: builtin, replacement: 'a\nb' }, /control characters/],
    ['priority', { name: 'x', match: builtin, priority: -1 }, /priority/],
    ['target', { name: 'x', target: 'log', match: { type: 'header', value: 'x-a' } }, /log rows/],
  ])('%s', async (field, body, message) => {
    const answer = await create(body);
    expect([answer.status, answer.json['error']?.['type']]).toEqual([400, 'validation_error']);
    expect(JSON.stringify(answer.json['fields'])).toMatch(message);
    expect(Object.keys(answer.json['fields'] ?? {}).join()).toContain(field.split('.')[0]);
  });

  it('a field that no rule has, an empty change', async () => {
    expect((await create({ name: 'x', match: builtin, regex: '.' })).status).toBe(400);
    const { json } = await create({ name: 'x', match: builtin });
    const id = String(json['data']?.['id']);
    expect((await change(id, {})).status).toBe(400);
    expect((await change(id, { match: { type: 'header', value: 'x-a' }, target: 'log' })).status).toBe(400);
  });

  it('a sample that cannot be inspected', async () => {
    const rules = [{ match: { type: 'json_path', value: '$.a' } }];
    const answer = await test({ sample: '{"a":', content_type: 'application/json', rules });
    expect(answer.status).toBe(400);
    expect(answer.json['fields']).toHaveProperty('sample');
  });
});

describe('409', () => {
  it('more rules than the limit', async () => {
    const caller = harness.callerOf(harness.other, 'live');
    const input = {
      name: 'x',
      enabled: false,
      target: 'response',
      match: { type: 'builtin', value: 'pan' },
      contentTypes: null,
      routeIds: null,
      proxyModes: null,
      replacement: '',
      action: 'mask',
      priority: 1,
    } as const;
    for (let i = 0; i < LIMITS.redactionRulesMax; i++) await harness.redaction.create(caller, input);
    await expect(harness.redaction.create(caller, input)).rejects.toMatchObject({ type: 'conflict' });
  });
});
