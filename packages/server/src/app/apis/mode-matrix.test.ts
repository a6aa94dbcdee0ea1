import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Mode } from '../../kernel/ids.js';
import { type Mount, mountedRoutes } from '../../platform/http/mounts.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { newInvitation } from '../../testing/account-samples.js';
import type { TestAnswer } from '../../testing/calls.js';
import { forEachDatabase } from '../../testing/databases.js';
import {
  type MatrixRig,
  MODES,
  MOUNTS,
  nameOf,
  openMatrixRig,
  type World,
} from '../../testing/matrix-rig.js';
import { freshName, unknownPath } from '../../testing/route-sample.js';
import { KINDS, ROUTE_SAMPLES } from '../../testing/route-samples.js';
import { kindsAmiss } from '../../testing/samples-amiss.js';

/** What both modes of a tenant share, with the contract's word for it. */
const SHARED_COLLECTIONS: Readonly<Record<string, string>> = {
  '/v1/roles': 'auth.md §6: shared',
  '/admin/invitations': 'auth.md §6: users are shared',
  '/admin/team': 'auth.md §6: users are shared',
  '/v1/audit-logs': 'auth.md §6: shared, each row stamped with its mode',
  '/v1/audit-logs/events': 'auth.md §6: shared, each row stamped with its mode',
};
/** What a tenant has one of. */
const SINGLE: Readonly<Record<string, string>> = {
  '/admin/tenant-kms': 'kms-admin.md §9: one master key of a tenant, for both modes',
};
/** What no list shows. */
const UNLISTED: Readonly<Record<string, string>> = {
  '/v1/client-tokens': 'clients-pki.md §5: shown once, for ten minutes at most',
  '/v1/wrap/egress-observations': 'its rows have no names: capabilities/wrap/observations/routes.test.ts',
};
const SHARED_ROWS: Readonly<Record<string, string>> = {
  'PATCH /admin/tenants/:id': 'auth.md §6: the tenant is shared',
  'POST /admin/tenant-kms/keys/:version/revoke': 'kms-admin.md §9: one master key for both modes',
  'PATCH /admin/team/:id': 'auth.md §6: users are shared',
  'DELETE /admin/team/:id': 'auth.md §6: users are shared',
  'POST /admin/invitations/:id/resend': 'auth.md §6: users are shared',
  'DELETE /admin/invitations/:id': 'auth.md §6: users are shared',
};

const namesRow = ({ path, access = 'tenant' }: RouteDefinition) => path.includes('/:') && access === 'tenant';

function errorOf({ status, json }: TestAnswer) {
  return [status, { ...json['error'], request_id: undefined }];
}

describe('the matrix of modes', () => {
  const routes = (...more: RouteDefinition[]) => [...rig.routes, ...more];
  let rig: MatrixRig;
  beforeAll(async () => {
    rig = await openMatrixRig();
  });
  afterAll(() => rig.close());

  it('tries every kind of row, or says where the contract has it shared', () => {
    expect(kindsAmiss(rig.routes, KINDS, { ...SHARED_COLLECTIONS, ...SINGLE, ...UNLISTED })).toEqual([]);
    const names = rig.routes.filter(namesRow).map(nameOf);
    expect(names).toEqual(expect.arrayContaining(Object.keys(SHARED_ROWS)));
  });

  it('reports a kind that it does not try, and an exemption that names nothing or one that is tried', () => {
    const thing = {
      summary: 'Forgotten',
      permission: null,
      audit: 'thing.create',
      response: z.object({}),
      handle: async () => ({}),
    };
    const further = [
      route({ ...thing, method: 'POST', path: '/v1/things', status: 201 }),
      // Of a family whose creates answer 200, with a list that has no pages.
      route({ ...thing, method: 'POST', path: '/v1/others' }),
      route({ ...thing, method: 'GET', path: '/v1/others', audit: null }),
      route({ ...thing, method: 'POST', path: '/v1/others/:id/test' }),
      route({ ...thing, method: 'POST', path: '/admin/gadgets', status: 201 }),
    ];
    const exempt = {
      ...SHARED_COLLECTIONS,
      ...SINGLE,
      ...UNLISTED,
      '/v1/nothing': 'shared',
      '/v1/vaults': 'shared',
    };
    expect(kindsAmiss(routes(...further), KINDS, exempt)).toEqual([
      '/v1/things: not tried',
      '/v1/others: not tried',
      '/admin/gadgets: not tried',
      '/v1/nothing: there is none',
      '/v1/vaults: tried and exempt',
    ]);
  });
});

forEachDatabase((_name, open) => {
  let rig: MatrixRig;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
  });
  afterAll(() => rig.close());

  const ways: [Mount, Mode, Mode][] = MOUNTS.flatMap((mount) =>
    MODES.map((mode): [Mount, Mode, Mode] => [mount, mode, mode === 'live' ? 'test' : 'live']),
  );

  describe.each(ways)('what /%s makes in %s mode, in %s mode', (mount, mode, otherMode) => {
    let own: World;
    let foreign: World;
    beforeAll(() => {
      own = rig.world(mount, rig.tenant, mode);
      foreign = rig.world(mount, rig.tenant, otherMode);
    });

    const kinds = Object.keys(KINDS).filter((path) => mount === 'admin' || !path.startsWith('/admin/'));
    it.each(kinds)('is on no list of %s, even beside one of its name', async (collection) => {
      const name = freshName();
      const { make } = KINDS[collection]!;
      const here = await make(own, name);
      const there = await make(foreign, name);
      const [listed, listedThere] = [await own.idsIn(here.list), await foreign.idsIn(there.list)];
      expect(listed).toContain(here.id);
      expect(listedThere).toContain(there.id);
      expect(listed.filter((id) => listedThere.includes(id))).toEqual([]);
    });

    it('cannot be read, changed, deleted or entered, and is as it was for its own mode', async () => {
      const tried = [];
      for (const { definition } of mountedRoutes(rig.routes).filter((route) => route.mount === mount)) {
        const name = nameOf(definition);
        if (!namesRow(definition) || name in SHARED_ROWS) continue;
        const { method } = definition;
        const { path, bodies, refused } = ROUTE_SAMPLES[name]!;
        const status = refused ?? definition.status ?? 200;
        const row = await path!(own);
        const [body] = (await bodies?.(own)) ?? [];
        const unknown = await foreign.call(method, unknownPath(definition.path), { body });
        expect([name, unknown.status]).toEqual([name, 404]);
        expect([name, ...errorOf(await foreign.call(method, row, { body }))]).toEqual([
          name,
          ...errorOf(unknown),
        ]);
        expect([name, (await own.call(method, row, { body })).status]).toEqual([name, status]);
        tried.push(name);
      }
      expect(tried.length).toBeGreaterThan(8);
    });

    it('is seen where the contract has it shared', async () => {
      await own.create('/v1/vaults', { name: freshName() });
      if (mount === 'admin') await newInvitation(own);
      for (const path of Object.keys(SHARED_COLLECTIONS)) {
        if (mount === 'v1' && path.startsWith('/admin/')) continue;
        // PostgreSQL's rows are sealed, and so fed, a moment after their commit (chain.contract.ts).
        if (rig.db.dialect === 'postgres' && path.endsWith('/events')) continue;
        const there = await foreign.idsIn(path);
        expect([path, (await own.idsIn(path)).filter((id) => there.includes(id))]).not.toEqual([path, []]);
      }
      if (mount === 'v1') return;
      for (const name of Object.keys(SHARED_ROWS)) {
        const { path, bodies } = ROUTE_SAMPLES[name]!;
        const [body] = (await bodies?.(own)) ?? [];
        const answer = await foreign.call(name.split(' ')[0]!, await path!(own), { body });
        expect([name, answer.status]).toEqual([name, 200]);
      }
    });
  });
});
