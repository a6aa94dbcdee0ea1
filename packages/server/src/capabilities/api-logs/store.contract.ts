import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RequestId, Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import type { ApiLogEntry } from './api-log.js';
import type { ApiLogFilter } from './filter.js';
import { migrations } from './index.js';
import { type ApiLogStore, createApiLogStore, type FeedWindow } from './store.js';

const T0 = Date.UTC(2026, 0, 15, 9, 30);

let tenants = 0;
function newScope(sandbox = false): Scope {
  tenants += 1;
  return { tenantId: `tenant-${tenants}` as TenantId, sandbox };
}

export function entry(scope: Scope, requestId: string, over: Partial<ApiLogEntry> = {}): ApiLogEntry {
  return {
    scope,
    requestId: requestId as RequestId,
    routeId: null,
    matchedClientId: null,
    identificationMethod: 'api_key',
    method: 'POST',
    statusCode: 200,
    srcIp: '192.0.2.7',
    environment: null,
    tsMs: T0,
    path: '/charge',
    latencyMs: 12,
    upstreamHost: 'api.example.com',
    error: null,
    rateLimited: false,
    proxyMode: 'ephemeral',
    clientOrigin: 'direct',
    echo: null,
    signatureValid: null,
    warning: null,
    ...over,
  };
}

export function apiLogStoreContract(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let store: ApiLogStore;
  beforeAll(async () => {
    db = await open(migrations);
    store = createApiLogStore(db);
  });
  afterAll(() => db.cleanup());

  const write = (...entries: readonly ApiLogEntry[]): Promise<void> =>
    db.commitInserts(entries.map((one) => store.insertion(one, T0)));
  const all: FeedWindow = { afterId: 0, upToId: null, limit: 100, youngSinceMs: null };
  const requestIds = async (
    scope: Scope,
    filter: ApiLogFilter = {},
    window: FeedWindow = all,
  ): Promise<string[]> => (await store.feed(scope, filter, window)).map((log) => log.requestId);

  it('gives back what was written, numbered upwards', async () => {
    const scope = newScope(true);
    const full = entry(scope, 'full', {
      routeId: 'r',
      matchedClientId: 'c',
      environment: 'prod',
      error: 'ssrf_blocked',
      rateLimited: true,
      clientOrigin: 'sdk_intercept',
      echo: { guarded: 3, notGuarded: 0 },
    });
    const bare = entry(scope, 'bare', {
      srcIp: null,
      path: null,
      upstreamHost: null,
      identificationMethod: null,
    });
    await write(full);
    await write(bare);
    const [first, second] = await store.feed(scope, {}, all);
    expect(first).toEqual({ ...full, id: expect.any(Number) });
    expect(second).toEqual({ ...bare, id: expect.any(Number) });
    expect(second!.id).toBeGreaterThan(first!.id);
  });

  it('shows a tenant and a mode only its own rows', async () => {
    const live = newScope();
    const sandbox = { ...live, sandbox: true };
    const foreign = newScope();
    await write(entry(live, 'live'), entry(sandbox, 'sandbox'), entry(foreign, 'foreign'));
    expect(await requestIds(live)).toEqual(['live']);
    expect(await requestIds(sandbox)).toEqual(['sandbox']);
    expect((await store.findByRequestId(live, 'live'))?.requestId).toBe('live');
    expect(await store.findByRequestId(live, 'sandbox')).toBeUndefined();
    expect(await store.findByRequestId(live, 'foreign')).toBeUndefined();
  });

  it('cuts a long path', async () => {
    const scope = newScope();
    await write(entry(scope, 'long', { path: `/${'x'.repeat(9000)}` }));
    expect((await store.findByRequestId(scope, 'long'))?.path).toHaveLength(2048);
  });

  it('goes on behind an id and stops at the limit', async () => {
    const scope = newScope();
    await write(...['a', 'b', 'c', 'd'].map((id) => entry(scope, id)));
    const rows = await store.feed(scope, {}, all);
    expect(await requestIds(scope, {}, { ...all, afterId: rows[0]!.id, limit: 2 })).toEqual(['b', 'c']);
    expect(await requestIds(scope, {}, { ...all, afterId: rows[3]!.id })).toEqual([]);
  });

  it('shows nothing from the first young row on, older rows behind it included', async () => {
    const scope = newScope();
    const at = (id: string, loggedAtMs: number) =>
      db.commitInserts([store.insertion(entry(scope, id), loggedAtMs)]);
    await at('old', T0);
    await at('young', T0 + 10);
    await at('late', T0 + 1);
    expect(await requestIds(scope, {}, { ...all, youngSinceMs: T0 + 5 })).toEqual(['old']);
    expect(await requestIds(scope, {}, { ...all, youngSinceMs: T0 + 10 })).toEqual(['old', 'young', 'late']);
  });

  describe('filters', () => {
    const scope = newScope();
    beforeAll(() =>
      write(
        entry(scope, 'plain'),
        entry(scope, 'route', { routeId: 'r1', proxyMode: 'route', environment: 'prod' }),
        entry(scope, 'get', { method: 'GET', statusCode: 404, tsMs: T0 + 1000 }),
      ),
    );
    it.each<[ApiLogFilter, string[]]>([
      [{ routeId: 'r1' }, ['route']],
      [{ proxyMode: 'ephemeral' }, ['plain', 'get']],
      [{ environment: 'prod' }, ['route']],
      [{ method: 'GET' }, ['get']],
      [{ statusCode: 200 }, ['plain', 'route']],
      [{ statusCode: 200, proxyMode: 'ephemeral' }, ['plain']],
      [{ fromMs: T0 + 1000 }, ['get']],
      [{ toMs: T0 + 1000 }, ['plain', 'route']],
      [{ fromMs: T0 + 1001 }, []],
    ])('%j', async (filter, expected) => {
      expect(await requestIds(scope, filter)).toEqual(expected);
    });
  });

  it('numbers the rows of two concurrent writers without a gap in what is read', async () => {
    const scope = newScope();
    const writer = async (name: string) => {
      for (let i = 0; i < 50; i += 1) await write(entry(scope, `${name}${i}`));
    };
    await Promise.all([writer('a'), writer('b')]);
    const seen: string[] = [];
    for (let afterId = 0; ; ) {
      const rows = await store.feed(scope, {}, { ...all, afterId, limit: 7 });
      if (rows.length === 0) break;
      seen.push(...rows.map((row) => row.requestId));
      afterId = rows.at(-1)!.id;
    }
    expect(seen).toHaveLength(100);
    expect(new Set(seen).size).toBe(100);
    expect(seen.filter((id) => id.startsWith('a'))).toEqual(Array.from({ length: 50 }, (_, i) => `a${i}`));
  });

  it('names the end of a window of rows that may be shown, and reads no further than it', async () => {
    const scope = newScope();
    await write(...['a', 'b', 'c'].map((id) => entry(scope, id)));
    await write(entry({ ...scope, sandbox: true }, 'other mode'), entry(newScope(), 'foreign'));
    const upToId = await store.windowEnd(scope, all, 2);
    expect(await requestIds(scope, {}, { ...all, upToId })).toEqual(['a', 'b']);
    expect(await store.windowEnd(scope, { ...all, afterId: upToId! }, 1)).toBeGreaterThan(upToId!);
    expect(await store.windowEnd(scope, { ...all, afterId: upToId! }, 2)).toBeNull();
    expect(await store.windowEnd(scope, { ...all, youngSinceMs: T0 - 1 }, 1)).toBeNull();
  });
}
