import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import type { ApiKeyId, RequestId, Scope, TenantId } from '../../kernel/ids.js';
import type { Caller } from '../../kernel/principal.js';
import type { Feed } from '../../platform/http/route.js';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { type ApiLogs, apiLogRoutes, createApiLogs, migrations } from './index.js';
import { logListQuery, logResponse } from './schemas.js';
import { entry } from './store.contract.js';

type LogResponse = z.output<typeof logResponse>;

const scope: Scope = { tenantId: 'acme' as TenantId, sandbox: false };
const KEPT = { logKeptMsMax: Number.POSITIVE_INFINITY, logKeptMs: async () => Number.POSITIVE_INFINITY };
let db: TestDatabase;
let logs: ApiLogs;

beforeAll(async () => {
  db = await openTestSqlite(migrations);
  logs = createApiLogs({ db, clock: createManualClock(), retention: KEPT, onLostRow: () => {} });
});
afterAll(() => db.cleanup());

function callerOf(callerScope: Scope, ...permissions: string[]): Caller {
  return {
    principal: {
      kind: 'api_key',
      scope: callerScope,
      tenantSlug: 'acme',
      apiKeyId: 'k' as ApiKeyId,
      keyId: 'tk_live_k',
      userId: null,
      rateLimit: null,
      grants: [],
      may: (permission) => permissions.includes(permission),
    },
    requestId: 'r' as RequestId,
    ip: null,
  };
}

const [listRoute, , getRoute] = apiLogRoutes({
  apiLogs: {
    list: (...args) => logs.list(...args),
    get: (...args) => logs.get(...args),
    cursorAt: (...args) => logs.cursorAt(...args),
  },
  logAnchors: { proof: () => Promise.reject(new Error('asked for no proof')) },
  logExports: { csv: () => Promise.reject(new Error('asked for no export')) },
});

const list = async (caller: Caller, query: Record<string, string> = {}) => {
  const feed = (await listRoute!.handle({
    caller,
    source: { address: '192.0.2.7', certificate: null },
    headers: {},
    params: undefined,
    query: logListQuery.parse(query) as never,
    body: undefined,
  })) as Feed<unknown>;
  return { ...feed, rows: feed.rows.map((row) => logResponse.parse(row)) };
};
const get = async (caller: Caller, requestId: string): Promise<LogResponse> =>
  logResponse.parse(
    await getRoute!.handle({
      caller,
      source: { address: '192.0.2.7', certificate: null },
      headers: {},
      params: { request_id: requestId } as never,
      query: undefined,
      body: undefined,
    }),
  );

const full = callerOf(scope, 'log:list', 'log:read_identity');

describe('GET /v1/logs', () => {
  test('a row stands in the feed at once, with the members in the contract’s order', async () => {
    logs.append(entry(scope, 'first'));
    const feed = await list(full);
    expect(feed).toMatchObject({ nextCursor: null, limit: 100, dedupeOn: 'request_id', watermarkSeconds: 0 });
    expect(feed.redacted).toBeUndefined();
    const row = feed.rows[0]!;
    expect(row).toMatchObject({ request_id: 'first', sandbox: false, proxy_mode: 'ephemeral', echo: null });
    expect(row.id).toMatch(/^[0-9]+$/);
    expect(Object.keys(row)).toEqual([
      'id',
      'request_id',
      'tenant_id',
      'route_id',
      'matched_client_id',
      'identification_method',
      'method',
      'status_code',
      'src_ip',
      'environment',
      'sandbox',
      'ts',
      'path',
      'latency_ms',
      'upstream_host',
      'error',
      'rate_limited',
      'proxy_mode',
      'client_origin',
      'cursor',
      'echo',
      'warning',
    ]);
  });

  test('the cursor walks through; null says drained, and the last row’s cursor goes on from there', async () => {
    for (const id of ['second', 'third', 'fourth']) logs.append(entry(scope, id));
    const one = await list(full, { limit: '2' });
    expect(one.rows.map((row) => row.request_id)).toEqual(['first', 'second']);
    const two = await list(full, { limit: '2', cursor: one.nextCursor! });
    expect(two.rows.map((row) => row.request_id)).toEqual(['third', 'fourth']);
    expect(two.nextCursor).toBeNull();
    const last = two.rows.at(-1)!.cursor;
    expect((await list(full, { cursor: last })).rows).toEqual([]);
    logs.append(entry(scope, 'fifth'));
    expect((await list(full, { cursor: last })).rows.map((row) => row.request_id)).toEqual(['fifth']);
  });

  test('a filter that matches little looks through so many rows a call, and the cursor goes on behind them', async () => {
    const many: Scope = { ...scope, tenantId: 'many' as TenantId };
    const feedReads = { windowRows: 3, windowsMax: 2 };
    const windowed = createApiLogs({
      db,
      clock: createManualClock(),
      retention: KEPT,
      onLostRow: () => {},
      feedReads,
    });
    for (let n = 1; n <= 14; n++)
      windowed.append(entry(many, `n${n}`, { statusCode: n === 2 || n === 5 || n === 13 ? 500 : 200 }));
    const pages: string[][] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await windowed.list(many, { statusCode: 500 }, cursor, 100);
      pages.push(page.rows.map(({ requestId }) => requestId));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([['n2', 'n5'], [], ['n13']]);
    const first = await windowed.list(many, { statusCode: 500 }, undefined, 1);
    expect(first.rows.map(({ requestId }) => requestId)).toEqual(['n2']);
    const second = await windowed.list(many, { statusCode: 500 }, first.nextCursor!, 1);
    expect(second.rows.map(({ requestId }) => requestId)).toEqual(['n5']);
  });

  test('without log:read_identity the identity tier is absent', async () => {
    const feed = await list(callerOf(scope, 'log:list'), { limit: '1' });
    expect(feed.redacted).toEqual(['identity']);
    for (const name of ['matched_client_id', 'identification_method', 'src_ip']) {
      expect(feed.rows[0]).not.toHaveProperty(name);
    }
  });

  test('another mode sees nothing of it', async () => {
    const sandbox = callerOf({ ...scope, sandbox: true }, 'log:list', 'log:read_identity');
    expect((await list(sandbox)).rows).toEqual([]);
    await expect(get(sandbox, 'first')).rejects.toMatchObject({ type: 'not_found' });
  });

  test.each([
    'x',
    encodeCursor(1).slice(1),
    'bDEuMDE',
    Buffer.from('l1.99999999999999999').toString('base64url'),
  ])('a cursor of other making is 400: %s', async (cursor) => {
    await expect(list(full, { cursor })).rejects.toMatchObject({ type: 'validation_error' });
  });

  test('a cursor comes back as it was made', () => {
    for (const id of [0, 1, 42, Number.MAX_SAFE_INTEGER]) expect(decodeCursor(encodeCursor(id))).toBe(id);
  });
});

describe('GET /v1/logs/:request_id', () => {
  test('one row', async () => {
    expect(await get(full, 'third')).toMatchObject({ request_id: 'third', src_ip: '192.0.2.7' });
  });

  test('404 for an unknown one and for another tenant', async () => {
    const foreign = callerOf({ tenantId: 'other' as TenantId, sandbox: false }, 'log:list');
    await expect(get(full, 'nothing')).rejects.toMatchObject({ status: 404, type: 'not_found' });
    await expect(get(foreign, 'third')).rejects.toMatchObject({ status: 404, type: 'not_found' });
  });
});
