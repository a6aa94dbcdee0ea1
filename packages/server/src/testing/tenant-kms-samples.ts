import type { World } from './matrix-rig.js';
import type { RouteSample } from './route-sample.js';
import { vaultOf } from './vault-samples.js';

/** A key of its own for each tenant, since no two may name the same. */
const kmsOf = ({ tenant }: World) => ({
  provider: 'aws',
  kms_key_ref: `arn:aws:kms:eu-central-1:111122223333:alias/${tenant.slug}`,
  config: { region: 'eu-central-1', role_arn: `arn:aws:iam::111122223333:role/${tenant.slug}` },
});

const newKms = async (world: World, more = '') => {
  const { status, text } = await world.call('POST', '/admin/tenant-kms', { body: kmsOf(world) });
  if (status !== 200) throw new Error(`POST /admin/tenant-kms: ${status} ${text}`);
  return `/admin/tenant-kms${more}`;
};

/** One of which no other tenant has the number, and which opens nothing. */
async function retiredMasterKey({ tenant, installation }: World): Promise<number> {
  await installation.services.kms.rotate(tenant.id);
  return (await installation.services.kms.rotate(tenant.id)) - 1;
}

export const TENANT_KMS_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /admin/tenant-kms': { bodies: (world) => [kmsOf(world)] },
  'DELETE /admin/tenant-kms': { path: async (world) => newKms(world) },
  'POST /admin/tenant-kms/rotate': { path: async (world) => newKms(world, '/rotate') },
  'GET /admin/tenant-kms/setup': { path: async () => '/admin/tenant-kms/setup?provider=aws' },
  'POST /admin/tenant-kms/test': { path: async (world) => newKms(world, '/test') },
  'POST /admin/tenant-kms/unseal': {
    async path(world) {
      const path = await newKms(world, '/unseal');
      // So that the key is open, and an idempotency key is honoured.
      await world.create('/v1/vaults', vaultOf());
      const { db, clock, services } = world.installation;
      const { configs } = services.kms.parts;
      await db.transaction((tx) => configs.setSealed(tx, world.tenant.id, 'of the test', clock.nowMs()));
      return path;
    },
  },
  'GET /admin/tenant-kms/rewrap': {
    async path({ tenant, installation: { db, services } }) {
      await db.transaction((tx) => services.rewraps.issue(tx, tenant.id, 1));
      return '/admin/tenant-kms/rewrap';
    },
  },
  'POST /admin/tenant-kms/keys/:version/revoke': {
    path: async (world) => `/admin/tenant-kms/keys/${await retiredMasterKey(world)}/revoke`,
    bodies: ({ tenant }) => [{ confirm: tenant.slug, force: true }],
  },
};
