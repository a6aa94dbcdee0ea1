import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import type { JobContext } from '../../platform/jobs/definition.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { entry } from '../api-logs/store.contract.js';

const T0 = Date.UTC(2026, 0, 15, 9, 30);
const NOTHING = {
  requests: 0,
  errors: 0,
  error_rate: null,
  refused: 0,
  rate_limited: 0,
  status_classes: { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 },
  latency_ms: { p50: null, p95: null, p99: null },
};

let harness: Harness;
let viewer: string;

beforeAll(async () => {
  harness = await createHarness({ startMs: T0 });
  viewer = await harness.signInAs('viewer');
  const scope: Scope = { tenantId: harness.tenant.id, sandbox: false };
  const call = (n: number, over: object) =>
    harness.apiLogs.append(entry(scope, `r${n}`, { tsMs: T0, latencyMs: n, ...over }));
  for (let n = 1; n <= 60; n++) call(n, {});
  for (let n = 61; n <= 63; n++)
    call(n, { statusCode: 429, error: 'rate_limit_exceeded', rateLimited: true, matchedClientId: 'c1' });
  call(6_000, { statusCode: 502, error: 'upstream_unreachable' });
  await harness.apiLogs.flush();
  await harness.analytics.count({
    id: 1,
    payload: {},
    attempt: 1,
    batchMax: 1_000,
    signal: new AbortController().signal,
    isStopping: () => false,
    fence: async () => {},
  } satisfies JobContext);
});
afterAll(() => harness.close());

const get = (query = '', key = harness.tenant.live) => harness.call('GET', `/v1/analytics${query}`, { key });
const dataOf = async (query: string) => (await get(query)).json['data'];

describe('GET /v1/analytics', () => {
  it('has counts, rates and percentiles of the last day, and the same at both mounts', async () => {
    const { status, json } = await get();
    expect(status).toBe(200);
    const { totals, series, ...rest } = json['data'];
    expect(rest).toEqual({
      from: '2026-01-14T09:00:00.000Z',
      to: '2026-01-15T10:00:00.000Z',
      interval: 'hour',
      counted_to: expect.any(String),
      group_by: null,
      groups: null,
      groups_total: 0,
    });
    const counted = {
      requests: 64,
      errors: 4,
      error_rate: 0.0625,
      refused: 4,
      rate_limited: 3,
      status_classes: { '1xx': 0, '2xx': 60, '3xx': 0, '4xx': 3, '5xx': 1 },
      latency_ms: { p50: 32, p95: 61, p99: expect.any(Number) },
    };
    expect(totals).toEqual({ ...counted, status_codes: { '200': 60, '429': 3, '502': 1 } });
    expect(Math.abs(totals.latency_ms.p99 - 6_000)).toBeLessThan(6_000 / 64);
    expect(series).toHaveLength(25);
    expect(series[0]).toEqual({ ts: '2026-01-14T09:00:00.000Z', ...NOTHING });
    expect(series[24]).toEqual({ ts: '2026-01-15T09:00:00.000Z', ...counted });
    const twin = await harness.call('GET', '/admin/analytics', { token: viewer });
    expect(twin.json['data'].totals).toEqual(totals);
  });

  it('shows nothing to another mode and tenant', async () => {
    for (const key of [harness.tenant.test, harness.other.live])
      expect((await get('', key)).json['data'].totals).toEqual({ ...NOTHING, status_codes: {} });
  });

  it('groups, the largest first, and narrows', async () => {
    const { groups, groups_total, group_by } = await dataOf('?group_by=client');
    expect([group_by, groups_total]).toEqual(['client', 2]);
    expect(
      groups.map((group: Record<string, unknown>) => [group['value'], group['is_others'], group['requests']]),
    ).toEqual([
      [null, false, 61],
      ['c1', false, 3],
    ]);
    expect((await dataOf('?client_id=c1')).totals.requests).toBe(3);
    expect((await dataOf('?status_class=5xx')).totals).toMatchObject({
      requests: 1,
      error_rate: 1,
      rate_limited: 0,
    });
    expect((await dataOf('?proxy_mode=route')).totals.requests).toBe(0);
  });

  it.each([
    ['?from=2026-01-15T09:00:00Z', 'minute', 31],
    ['?from=2026-01-15T09:29:30Z&to=2026-01-15T09:30:30Z', 'minute', 2],
    ['?from=2026-01-10T00:00:00Z', 'hour', 130],
    ['?from=2025-12-01T00:00:00Z', 'day', 46],
    ['?interval=minute', 'minute', 1441],
    ['?interval=day', 'day', 2],
  ])('shows %s by the %s', async (query, interval, points) => {
    const data = await dataOf(query);
    expect([data.interval, data.series.length]).toEqual([interval, points]);
    expect(data.totals.requests).toBe(64);
  });

  it.each([
    ['?from=2026-01-15T09:00:00Z&to=2026-01-15T09:00:00Z', 'from'],
    ['?interval=minute&from=2026-01-01T00:00:00Z', 'interval'],
    ['?from=2020-01-01T00:00:00Z', 'from'],
    ['?group_by=src_ip', 'group_by'],
    ['?interval=week', 'interval'],
    ['?from=yesterday', 'from'],
    ['?status_class=6xx', 'status_class'],
  ])('400 names the field: %s', async (query, field) => {
    const { status, json } = await get(query);
    expect([status, Object.keys(json['fields'])]).toEqual([400, [field]]);
  });

  it('403 for clients without log:read_identity', async () => {
    for (const query of ['group_by=client', 'client_id=c1']) {
      const { status, json } = await harness.call('GET', `/admin/analytics?${query}`, { token: viewer });
      expect([status, json['error']['message']]).toEqual([403, expect.stringContaining('log:read_identity')]);
    }
  });

  it('402 in a plan without analytics', async () => {
    await harness.tenantSwitch.changeBySlug('globex', { plan: 'free' });
    await harness.advance(2_000);
    const { status, json } = await get('', harness.other.live);
    expect([status, json['error']['type']]).toEqual([402, 'plan_feature']);
  });
});
