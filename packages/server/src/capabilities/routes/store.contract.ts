import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Scope, TenantId } from '../../kernel/ids.js';
import type { OpenTestDatabase, TestDatabase } from '../../testing/databases.js';
import { createRouteActionStore, type StoredAction } from './actions/store.js';
import { NOTHING_OWN, type RouteConfig } from './config.js';
import { createRouteConfigStore } from './config-store.js';
import { createMovedRoutesStore } from './moved-store.js';
import { createRouteStore, type StoredRoute } from './store.js';
import { createRouteIndexStore } from './table/index-store.js';
import { migrations } from './tables.js';

const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
const LIVE: Scope = { tenantId: TENANT, sandbox: false };
const OTHERS: readonly Scope[] = [
  { ...LIVE, sandbox: true },
  { tenantId: 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId, sandbox: false },
];
const uuid = (n: number) => `eeeeeeee-0000-4000-8000-${String(n).padStart(12, '0')}`;

const route = (n: number, more: Partial<StoredRoute> = {}): StoredRoute => ({
  id: uuid(n),
  scope: LIVE,
  name: `Route ${n}`,
  slug: `route-${n}`,
  enabled: true,
  baseEnvironment: 'production',
  collectionId: uuid(90),
  version: 1,
  createdBy: uuid(91),
  createdAtMs: n,
  updatedAtMs: n,
  ...more,
});

const config = (n: number, of: StoredRoute, more: Partial<RouteConfig> = {}): RouteConfig => ({
  ...NOTHING_OWN,
  id: uuid(n),
  scope: of.scope,
  routeId: of.id,
  environment: 'production',
  enabled: true,
  targetBaseUrl: 'https://api.example.com',
  createdAtMs: 1,
  updatedAtMs: 2,
  ...more,
});

const FULL: Partial<RouteConfig> = {
  enabled: false,
  injectHeaders: { 'X-Key': '{{secret:A}} é' },
  injectBody: { a: [1, { b: null }] },
  requireSignature: false,
  signatureToleranceSec: 0,
  signatureHeader: 'X-S',
  timestampHeader: 'X-T',
  rateLimitEnabled: true,
  rateLimitRequests: 1,
  rateLimitWindowSec: 2,
  rateLimitBurst: 0,
  allowedMethods: ['GET'],
  restrictsMethods: true,
  methodConfigs: {},
  usesMethodConfigs: false,
  egressServerId: uuid(80),
  requiresClients: true,
  mtlsCertificateId: uuid(81),
  ipAllowlist: ['10.0.0.0/8'],
  interceptEnabled: true,
};

export function describeRouteStores(open: OpenTestDatabase): void {
  let db: TestDatabase;
  let routes: ReturnType<typeof createRouteStore>;
  let configs: ReturnType<typeof createRouteConfigStore>;
  let actions: ReturnType<typeof createRouteActionStore>;
  beforeEach(async () => {
    db = await open(migrations);
    routes = createRouteStore(db);
    configs = createRouteConfigStore(db);
    actions = createRouteActionStore(db);
  });
  afterEach(() => db.cleanup());

  const add = (one: StoredRoute, ...own: RouteConfig[]) =>
    db.transaction(async (tx) => {
      await routes.insert(tx, one);
      for (const each of own) await configs.insert(tx, each);
    });

  it('gives routes back as they were stored, in their tenant and mode alone', async () => {
    const stored = route(1);
    await add(stored);
    expect(await routes.find(LIVE, stored.id)).toEqual(stored);
    expect(await routes.findBySlug(LIVE, 'route-1')).toEqual(stored);
    const changed = route(1, { name: 'n', slug: null, enabled: false, version: 2, collectionId: null });
    for (const scope of OTHERS) {
      expect(await routes.find(scope, stored.id)).toBeUndefined();
      expect(await routes.findBySlug(scope, 'route-1')).toBeUndefined();
      expect([await routes.count(scope), await routes.names(scope, [stored.id])]).toEqual([0, new Map()]);
      await db.transaction((tx) => routes.update(tx, { ...changed, scope }));
      await db.transaction((tx) => routes.delete(tx, scope, stored.id));
    }
    expect(await routes.find(LIVE, stored.id)).toEqual(stored);
    await db.transaction((tx) => routes.update(tx, changed));
    expect(await routes.find(LIVE, stored.id)).toEqual(changed);
    expect(await routes.names(LIVE, [stored.id])).toEqual(new Map([[stored.id, 'n']]));
  });

  it('has a name and a slug once in a tenant and mode, and any number without a slug', async () => {
    await add(route(1));
    await expect(add(route(2, { name: 'Route 1' }))).rejects.toMatchObject({ type: 'conflict' });
    await expect(add(route(2, { slug: 'route-1' }))).rejects.toMatchObject({ type: 'conflict' });
    await add(route(2, { name: 'route 1', slug: null }));
    await add(route(3, { slug: null }));
    for (const scope of OTHERS) await add(route(1, { scope }));
    const taken = await db.transaction((tx) => routes.slugsTaken(tx, LIVE, ['route-1', 'route-2']));
    expect(taken).toEqual(new Set(['route-1']));
  });

  it('lists in each order, and those that are enabled or are not', async () => {
    await add(route(1, { enabled: false, name: 'b' }));
    await add(route(2, { name: 'a' }));
    await add(route(3, { name: 'c' }));
    const names = async (more: object) => {
      const page = { page: 1, perPage: 2, sort: 'created_at', order: 'desc', enabled: undefined } as const;
      return (await routes.list(LIVE, { ...page, ...more })).map(({ name }) => name);
    };
    expect(await names({})).toEqual(['c', 'a']);
    expect(await names({ page: 2 })).toEqual(['b']);
    expect(await names({ sort: 'name', order: 'asc' })).toEqual(['a', 'b']);
    expect(await names({ sort: 'enabled', order: 'asc' })).toEqual(['b', 'a']);
    expect([await names({ enabled: false }), await names({ enabled: true })]).toEqual([['b'], ['c', 'a']]);
    expect([await routes.count(LIVE), await routes.count(LIVE, true)]).toEqual([3, 2]);
    const windows: unknown[] = [];
    for await (const rows of createRouteIndexStore(db).windows(LIVE)) windows.push(...rows);
    expect(windows).toHaveLength(3);
    expect(windows[0]).toEqual({
      id: uuid(1),
      name: 'b',
      slug: 'route-1',
      baseEnvironment: 'production',
      version: 1,
    });
  });

  it('gives configurations back as they were stored, by route', async () => {
    const one = route(1);
    const [base, full] = [config(11, one), config(12, one, { ...FULL, environment: 'qa' })];
    await add(one, base, full);
    expect(await configs.ofRoute(LIVE, one.id)).toEqual([base, full]);
    const byRoute = await configs.ofRoutes(LIVE, [one.id, uuid(2)]);
    expect(byRoute).toEqual(
      new Map([
        [one.id, [base, full]],
        [uuid(2), []],
      ]),
    );
    const changed = { ...base, ...FULL, updatedAtMs: 9 };
    await db.transaction(async (tx) => {
      for (const scope of OTHERS) {
        expect(await configs.ofRouteIn(tx, scope, one.id)).toEqual([]);
        await configs.update(tx, { ...changed, scope });
        await configs.delete(tx, scope, base.id);
        await configs.deleteOfRoute(tx, scope, one.id);
        expect(await configs.countUsing(tx, scope, 'mtls_certificate_id', uuid(81))).toBe(0);
      }
      expect(await configs.ofRouteIn(tx, LIVE, one.id)).toEqual([base, full]);
      await configs.update(tx, changed);
      expect(await configs.ofRouteIn(tx, LIVE, one.id)).toEqual([changed, full]);
      expect(await configs.countUsing(tx, LIVE, 'mtls_certificate_id', uuid(81))).toBe(1);
      expect(await configs.countUsing(tx, LIVE, 'egress_server_id', uuid(80))).toBe(1);
      await configs.delete(tx, LIVE, full.id);
    });
    expect(await configs.ofRoute(LIVE, one.id)).toEqual([changed]);
  });

  it('follows the name and the end of an environment', async () => {
    const [one, two] = [route(1), route(2)];
    await add(one, config(11, one), config(12, one, { environment: 'qa' }));
    await add(two, config(21, two));
    for (const scope of OTHERS) await add(route(1, { scope }), config(11, route(1, { scope })));
    await db.transaction(async (tx) => {
      expect(await routes.countOfBase(tx, LIVE, 'production')).toBe(2);
      expect(await routes.bumpOf(tx, LIVE, 'qa')).toBe(1);
      await routes.renameBase(tx, LIVE, 'production', 'main');
      await configs.renameEnvironment(tx, LIVE, 'production', 'main');
      expect(await configs.removeEnvironment(tx, LIVE, 'qa')).toBe(1);
    });
    expect(await routes.find(LIVE, one.id)).toMatchObject({ version: 2, baseEnvironment: 'main' });
    expect(await routes.find(LIVE, two.id)).toMatchObject({ version: 1, baseEnvironment: 'main' });
    expect((await configs.ofRoute(LIVE, one.id)).map(({ environment }) => environment)).toEqual(['main']);
    for (const scope of OTHERS) {
      expect((await routes.find(scope, one.id))?.baseEnvironment).toBe('production');
      expect((await configs.ofRoute(scope, one.id))[0]?.environment).toBe('production');
    }
  });

  it('gives actions back in the order in which they are applied', async () => {
    const one = route(1);
    await add(one, config(11, one));
    const action = (n: number, sortOrder: number): StoredAction => ({
      id: uuid(n),
      scope: LIVE,
      routeId: one.id,
      direction: 'response',
      action: 'tokenize',
      selectors: ['$.a', "$['é']"],
      keyName: 'cards',
      dataRole: null,
      contentType: 'application/json',
      sortOrder,
      enabled: n !== 32,
      createdAtMs: n,
    });
    const [later, first, second] = [action(31, 2), action(32, 1), action(33, 1)];
    await db.transaction(async (tx) => {
      for (const each of [later, first, second]) await actions.insert(tx, each);
      for (const scope of OTHERS) {
        await actions.delete(tx, scope, first.id);
        await actions.deleteOfRoute(tx, scope, one.id);
        expect(await actions.ofRoute(scope, one.id, tx)).toEqual([]);
      }
    });
    expect(await actions.ofRoute(LIVE, one.id)).toEqual([first, second, later]);
    await db.transaction(async (tx) => {
      await actions.delete(tx, LIVE, first.id);
      expect(await actions.ofRoute(LIVE, one.id, tx)).toEqual([second, later]);
      await actions.deleteOfRoute(tx, LIVE, one.id);
      await configs.deleteOfRoute(tx, LIVE, one.id);
      await routes.delete(tx, LIVE, one.id);
    });
    expect([await routes.count(LIVE), await actions.ofRoute(LIVE, one.id)]).toEqual([0, []]);
  });

  it('finds what routes do by the servers that their calls leave by', async () => {
    const moved = createMovedRoutesStore(db);
    const [byServer, byDefault, inherits] = [route(1), route(2), route(3)];
    const plain = 'HTTP://plain.example.com';
    await add(byServer, config(11, byServer, { egressServerId: uuid(80), targetBaseUrl: plain }));
    await add(
      byDefault,
      config(12, byDefault),
      config(13, byDefault, { environment: 'a', egressServerId: uuid(81) }),
    );
    const post = { POST: { targetBaseUrl: 'http://plain.example.com' } } as RouteConfig['methodConfigs'];
    await add(
      inherits,
      config(14, inherits, { egressServerId: uuid(82) }),
      config(15, inherits, { environment: 'a', methodConfigs: post }),
    );
    const action = (n: number, of: StoredRoute, more: Partial<StoredAction>): StoredAction => ({
      id: uuid(n),
      scope: LIVE,
      routeId: of.id,
      direction: 'request',
      action: 'decrypt',
      selectors: ['$.a'],
      keyName: null,
      dataRole: null,
      contentType: 'application/json',
      sortOrder: 0,
      enabled: false,
      createdAtMs: 1,
      ...more,
    });
    await db.transaction(async (tx) => {
      await actions.insert(tx, action(21, byServer, {}));
      await actions.insert(tx, action(22, byServer, {}));
      await actions.insert(tx, action(23, byDefault, { action: 'tokenize', keyName: 'cards' }));
    });
    const found = async (serverIds: readonly string[], goesByDefault = false, scope = LIVE) => {
      const calls = { serverIds, byDefault: goesByDefault };
      const targets = await moved.targets(scope, calls);
      return [await moved.actions(scope, calls), targets.some((target) => /^http:/i.test(target))];
    };
    const [decrypt, tokenize] = [
      { action: 'decrypt', keyName: null },
      { action: 'tokenize', keyName: 'cards' },
    ];
    expect(await found([uuid(80)])).toEqual([[decrypt], true]);
    expect(await found([uuid(81)])).toEqual([[tokenize], false]);
    expect(await found([uuid(82)])).toEqual([[], true]);
    expect(await found([], true)).toEqual([[tokenize], false]);
    expect(await found([uuid(80), uuid(89)], true)).toEqual([[decrypt, tokenize], true]);
    for (const scope of OTHERS) expect(await found([uuid(80)], true, scope)).toEqual([[], false]);
  });
}
