import { accountsTables } from '../capabilities/accounts/tables.js';
import type { RequestId, TenantId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { systemIds } from '../platform/crypto/random.js';
import type { World } from './matrix-rig.js';
import { freshName, type RouteSample, UNKNOWN } from './route-sample.js';
import { createMember, join, OWNER_PASSWORD } from './tenants.js';

const freshAddress = () => `${freshName()}@example.org`;
export const newInvitation = async (world: World, email = freshAddress()) =>
  (await world.create('/admin/invitations', { email, role: 'viewer' })).id;

/** The clock stands: what is timed beside it must not run out. */
async function asIfSentBefore({ installation, tenant }: World): Promise<void> {
  const people = installation.db.view(accountsTables).scoped({ tenantId: tenant.id });
  await people.updateTable('invitations').set({ sent_at: 0 }).execute();
}

async function newMember({ installation, tenant }: World): Promise<string> {
  const email = freshAddress();
  await createMember({ ...installation, ids: systemIds }, tenant, 'developer', email);
  return `/admin/team/${await installation.services.accounts.findUserId(email)}`;
}

/** What the next tenant that is to be deleted is called: the deletion types it. */
let typedSlug: string | null = null;

/** The handle of a signup whose link was used; each from a network of its own. */
async function confirmedSignup({ installation: { services } }: World): Promise<string> {
  const [name, visitor] = [freshName(), { requestId: UNKNOWN as RequestId, ip: freshName() }];
  const asked = { tenantName: name, fullName: name, tenantSlug: null, country: null, region: null };
  const email = `${name}@signup.example`;
  const { claimHandle } = await services.signups.begin({ email, ...asked }, visitor);
  const [, link = ''] = /token=(\S+)/.exec(services.mailBox.lastTo(email).text) ?? [];
  await services.signups.confirm(new Secret(link), new Secret(OWNER_PASSWORD), visitor);
  return claimHandle.reveal();
}

async function refreshToken({ tenant, installation }: World): Promise<string> {
  const body = { email: tenant.ownerEmail, password: OWNER_PASSWORD, cookie: false };
  const answer = await installation.call('POST', '/admin/auth/login', { body });
  return answer.json['refresh_token'];
}

export const ACCOUNT_SAMPLES: Readonly<Record<string, RouteSample>> = {
  'POST /v1/signup': {
    bodies: () => [
      {
        email: `${freshName()}@signup.example`,
        tenant_name: freshName(),
        full_name: 'Ada',
        tenant_slug: freshName(),
        country: 'AU',
        region: 'au',
      },
    ],
  },
  'POST /v1/signup/claim': { bodies: async (world) => [{ claim_handle: await confirmedSignup(world) }] },
  'POST /admin/auth/login': {
    bodies: ({ tenant }) => [{ email: tenant.ownerEmail, password: OWNER_PASSWORD, cookie: false }],
  },
  'POST /admin/auth/refresh': {
    bodies: async (world) => [{ refresh_token: await refreshToken(world) }],
  },
  'POST /admin/auth/logout': {
    bodies: async (world) => [{ refresh_token: await refreshToken(world) }],
  },
  'DELETE /admin/auth/sessions/:id': {
    async path(world) {
      await refreshToken(world);
      const { json } = await world.call('GET', '/admin/auth/sessions');
      const [last] = json['sessions'].filter(({ current }: { current: boolean }) => !current);
      return `/admin/auth/sessions/${last.id}`;
    },
  },
  'PATCH /admin/team/:id': { path: newMember, bodies: () => [{ role: 'viewer' }] },
  'DELETE /admin/team/:id': { path: newMember },
  'POST /admin/invitations': { bodies: () => [{ email: freshAddress(), role: 'developer' }] },
  'POST /admin/invitations/:id/resend': {
    async path(world) {
      const id = await newInvitation(world);
      await asIfSentBefore(world);
      return `/admin/invitations/${id}/resend`;
    },
  },
  'DELETE /admin/invitations/:id': {
    path: async (world) => `/admin/invitations/${await newInvitation(world)}`,
  },
  'POST /admin/invitations/accept': {
    async bodies(world) {
      const email = freshAddress();
      await newInvitation(world, email);
      const [, token = ''] = /token=(\S+)/.exec(world.installation.services.mailBox.lastTo(email).text) ?? [];
      return [{ token, password: OWNER_PASSWORD }];
    },
  },
  'POST /admin/tenants': { bodies: () => [{ name: 'n', slug: freshName(), ephemeral_enabled: true }] },
  'GET /admin/tenants/:id': { path: async ({ tenant }) => `/admin/tenants/${tenant.id}` },
  'DELETE /admin/tenants/:id': {
    async path({ create }) {
      const slug = typedSlug ?? freshName();
      typedSlug = null;
      return `/admin/tenants/${(await create('/admin/tenants', { name: 'n', slug })).id}`;
    },
    bodies() {
      typedSlug = freshName();
      return [{ slug: typedSlug }];
    },
  },
  'DELETE /admin/tenants/:id/membership': {
    async path({ create, installation, tenant }) {
      const { id } = await create('/admin/tenants', { name: 'n', slug: freshName() });
      const email = freshAddress();
      await createMember({ ...installation, ids: systemIds }, tenant, 'viewer', email);
      await join(installation, email, id as TenantId, 'owner');
      return `/admin/tenants/${id}/membership`;
    },
  },
  'PATCH /admin/tenants/:id': {
    path: async ({ tenant }) => `/admin/tenants/${tenant.id}`,
    // The slug as it is: that of a tenant of the tests stands in its host names.
    bodies: ({ tenant }) => [{ ephemeral_enabled: null }, { name: 'n', slug: tenant.slug }],
    operatorBodies: [{ plan: 'enterprise', subscription_status: 'active' }],
  },
};
