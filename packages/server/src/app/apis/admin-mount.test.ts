import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MountedRoute, mountedRoutes } from '../../platform/http/mounts.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';

/** kms-admin.md §4: every handler of `/v1` is mounted under `/admin` too, with the same body but in the bare families. */
let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig();
});
afterAll(() => rig.close());

/** What has no twin, and why. */
const WITHOUT_TWIN: Readonly<Record<string, string>> = {
  'POST /v1/api-keys': 'the one of the dashboard takes more: auth.md §1.3',
  'POST /v1/client/decrypt': 'its callers have a client token alone: clients-pki.md §5',
  'POST /v1/client/detokenize': 'its callers have a client token alone: clients-pki.md §5',
  'POST /v1/client/tokenize': 'its callers have a client token alone: clients-pki.md §5',
  'POST /v1/signup': 'its callers have no account: auth.md §7',
  'POST /v1/signup/claim': 'its callers have no account: auth.md §7',
};

/** contract README §5. */
const BARE = /^\/admin\/(auth|tenant-kms|crypto|pki)(\/|$)/;

it('has a twin of everything, or says here why not', () => {
  const without = rig.routes
    .filter(({ path, admin }) => path.startsWith('/v1/') && admin === 'none')
    .map(({ method, path }) => `${method} ${path}`);
  expect(without.sort()).toEqual(Object.keys(WITHOUT_TWIN).sort());
});

it('answers bare in the families that the contract names, and in no other', () => {
  const under = mountedRoutes(rig.routes).filter(({ mount }) => mount === 'admin');
  // A page keeps its envelope, which has the numbers of the page.
  const isBare = ({ path, definition }: MountedRoute) => BARE.test(path) && definition.answer !== 'page';
  const amiss = under.filter((mounted) => (mounted.body === 'bare') !== isBare(mounted));
  expect(amiss.map(({ path, body }) => `${path} is ${body}`)).toEqual([]);
  expect(new Set(under.map(({ body }) => body)).size).toBe(2);
});

it('answers 404 where the former /admin/databases was, before it asks who calls', async () => {
  const owner = rig.world('admin', rig.tenant, 'live');
  for (const path of ['', '/x', '/x/roles', '/x/roles/y', '/x/creds/y', '/leases', '/leases/1/revoke'])
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
      for (const ask of [owner.call, rig.ask]) {
        const answer = await ask(method, `/admin/databases${path}`, method === 'GET' ? {} : { body: {} });
        expect([method, path, answer.status, answer.json['error']['type']]).toEqual([
          method,
          path,
          404,
          'not_found',
        ]);
      }
});
