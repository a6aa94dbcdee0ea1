import { afterAll, beforeAll, expect, it } from 'vitest';
import { mountedRoutes } from '../../../platform/http/mounts.js';
import type { RouteDefinition } from '../../../platform/http/route.js';
import { type MatrixRig, MOUNTS, nameOf, openMatrixRig, type World } from '../../../testing/matrix-rig.js';
import { createMemoryClouds } from '../../../testing/memory-clouds.js';
import { ROUTE_SAMPLES } from '../../../testing/route-samples.js';
import { kmsGeneration } from '../versions.js';

/**
 * Every endpoint with a definition, asked once while the tenant's key is open and once while the tenant is sealed
 * (kms-admin.md §3.4): what needs the key is 503, all else is as it was.
 */
const clouds = createMemoryClouds();
let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig({ clouds });
});
afterAll(() => rig.close());

const KMS = '/admin/tenant-kms';
const kmsOf = (slug: string) => ({
  provider: 'aws',
  kms_key_ref: `arn:aws:kms:eu-central-1:111122223333:key/${slug}`,
  config: { region: 'eu-central-1', role_arn: `arn:aws:iam::111122223333:role/${slug}` },
});

/** What has to encrypt or decrypt, as its first sample calls it. */
const NEEDS_THE_KEY: readonly string[] = [
  'GET /admin/secrets/:id/value',
  'GET /v1/dyn-db-credentials/:name/orphans',
  'GET /v1/secrets/:id/oauth2/token',
  'GET /v1/vaults/:nameOrId/tokens/:idOrToken',
  'PATCH /admin/alerts/:id',
  'PATCH /v1/dyn-db-credentials/:name',
  'PATCH /v1/egress/servers/:id',
  'PATCH /v1/inbound-webhooks/:id',
  'PATCH /v1/secrets/:id',
  'PATCH /v1/webhooks/:id',
  'POST /admin/alerts',
  'POST /v1/crypto/keys',
  'POST /v1/crypto/keys/:name/decrypt',
  'POST /v1/crypto/keys/:name/encrypt',
  'POST /v1/crypto/keys/:name/jwt',
  'POST /v1/crypto/keys/:name/rewrap',
  'POST /v1/crypto/keys/:name/rotate',
  'POST /v1/crypto/keys/:name/sign',
  'POST /v1/crypto/keys/:name/webhook-sign',
  'POST /v1/decrypt',
  'POST /v1/dyn-db-credentials',
  'POST /v1/dyn-db-credentials/:name/creds/:role',
  'POST /v1/dyn-db-credentials/:name/rotate-admin-password',
  'POST /v1/dyn-db-credentials/leases/:id/renew',
  'POST /v1/egress/servers',
  'POST /v1/encrypt',
  'POST /v1/inbound-webhooks',
  'POST /v1/pki/roots',
  'POST /v1/pki/roots/:name/issue/:role',
  'POST /v1/pki/roots/:name/roles/:role/acme-keys',
  'POST /v1/pki/roots/:name/rotate-intermediate',
  'POST /v1/pki/roots/:name/sign/:role',
  'POST /v1/secrets',
  'POST /v1/secrets/:id/oauth2/connect',
  'POST /v1/secrets/certificate',
  'POST /v1/secrets/oauth2',
  'POST /v1/vaults',
  'POST /v1/vaults/:nameOrId/rotate',
  'POST /v1/vaults/:nameOrId/tokens',
  'POST /v1/vaults/:nameOrId/tokens/bulk',
  'POST /v1/webhooks',
  'POST /v1/webhooks/:id/test',
  'POST /v1/wrap/credentials',
  'PUT /v1/secrets/:id/certificate',
  'PUT /v1/secrets/:id/value',
];

it('what needs the key is 503 tenant_sealed, all else is as ever', async () => {
  const amiss: unknown[] = [];
  const changed: string[] = [];
  for (const mount of MOUNTS) {
    const world = rig.world(mount, rig.tenant, 'live');
    for (const { definition } of mountedRoutes(rig.routes).filter((one) => one.mount === mount)) {
      // Sessions and sign-in have keys of the installation.
      const { access = 'tenant' } = definition;
      if (access !== 'tenant' || definition.path.startsWith(KMS)) continue;
      const name = nameOf(definition);
      await open(world);
      const { bodies, path, refused } = ROUTE_SAMPLES[name] ?? {};
      const [body] = (await bodies?.(world)) ?? [];
      const row = (await path?.(world)) ?? definition.path;
      await seal();
      const { status, json, headers } = await world.call(definition.method, row, { body });
      if (status === 503) {
        expect([name, json['error'].type, headers['retry-after']]).toEqual([name, 'tenant_sealed', '30']);
        changed.push(name);
      } else if (status !== (refused ?? expectedOf(definition))) amiss.push([name, status, json]);
    }
  }
  expect(amiss).toEqual([]);
  expect([...new Set(changed)].sort()).toEqual([...NEEDS_THE_KEY].sort());
});

const expectedOf = ({ status = 200 }: RouteDefinition) => status;

async function open(world: World): Promise<void> {
  clouds.failure = null;
  const admin = rig.world('admin', rig.tenant, 'live');
  const { status, text } = await admin.call('POST', KMS, { body: kmsOf(world.tenant.slug) });
  if (status !== 200) throw new Error(text);
}

/** Opened keys are out of memory as after their time, without that admin tokens have ended too. */
async function seal(): Promise<void> {
  clouds.failure = 'access_denied';
  await rig.db.transaction((tx) => rig.services.generations.bump(tx, kmsGeneration(rig.tenant.id)));
}
