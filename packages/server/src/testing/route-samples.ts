import { accountsTables } from '../capabilities/accounts/tables.js';
import type { RequestId, TenantId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { systemIds } from '../platform/crypto/random.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { ACME_KINDS, ACME_SAMPLES } from './acme-samples.js';
import { CLIENT_TOKEN_SAMPLES } from './client-token-samples.js';
import { CRYPTO_KEY_KINDS, CRYPTO_KEY_SAMPLES } from './crypto-key-samples.js';
import { FACTOR_SAMPLES } from './factor-samples.js';
import { membersWithoutSample } from './malformed-bodies.js';
import { nameOf, type World } from './matrix-rig.js';
import { MEMORY_PASSWORD } from './memory-databases.js';
import { askOAuth, basicOfKey } from './oauth-calls.js';
import { PKI_KINDS, PKI_SAMPLES } from './pki-samples.js';
import { PORTABLE_SAMPLES } from './portable-samples.js';
import type { Body, RouteSample } from './route-sample.js';
import { SIGNING_SAMPLES } from './signing-samples.js';
import { createMember, join, OWNER_PASSWORD } from './tenants.js';
import { createTestCa } from './tls-upstream.js';

const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
/** A path whose names no row has; a number in it is one that could be. */
export const unknownPath = (path: string) =>
  path.replace(/:(n|version)(?=\/|$)/, '99').replace(/:[^/]+/g, UNKNOWN);

let made = 0;
/** A name that no other row has. */
export const freshName = () => `n${++made}`;

const KEY_LIMIT = { rate_limit_requests: 10, rate_limit_window_sec: 60 };
const NARROWED = [{ permission: 'vaults:tokenize', resource: 'cards' }];
const PAN = { type: 'builtin', value: 'pan' };
const RULE = {
  enabled: true,
  target: 'both',
  match: PAN,
  content_types: ['application/json'],
  route_ids: null,
  proxy_modes: ['ephemeral'],
  replacement: '*',
  action: 'partial_last4',
  priority: 1,
};
const VAULT = { description: 'd', metadata_jsonb: { a: 1 }, echo_guard: true, default_ttl_seconds: 3600 };
const TOKEN_OPTIONS = { metadata: { a: 1 }, ttl_seconds: 60, card_exp_month: null, card_exp_year: null };
const CODE_CLIENT = {
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['https://app.example.com/callback', 'http://127.0.0.1/callback'],
};
const CLIENT_TERMS = {
  allowed_scopes: ['vaults:read', 'log:list'],
  redirect_uris: ['https://app.example.com/callback'],
  require_dpop: false,
  require_dpop_nonce: false,
  require_pkce: true,
  token_format: 'opaque',
  refresh_grace_seconds: 10,
  consent_html_template: '<p>Hello</p>',
  step_up_scopes: ['log:list'],
};
const clientOf = (name = freshName()) => ({
  name,
  type: 'confidential',
  grant_types: ['client_credentials'],
  ...CLIENT_TERMS,
});
const DB = '/v1/dyn-db-credentials';
const DB_TTLS = { default_ttl_seconds: 3_600, max_ttl_seconds: 86_400 };
const DB_LIMITS = { username_template: '{{actor}}', max_live_leases: 10 };
const DB_OPTIONS = {
  sslmode: 'verify-full',
  ssl_ca: (await createTestCa()).caPem,
  connect_timeout_ms: 5_000,
  statement_timeout_ms: 5_000,
};
const OF_OTHER_MODES = {
  agent_id: null,
  ssh_host: null,
  ssh_port: null,
  ssh_username: null,
  ssh_private_key: null,
  ssh_passphrase: null,
  ssh_host_fingerprint: null,
  iam_region: null,
  iam_db_user: null,
};
const DB_CHANGES = {
  host: 'db.example.com',
  port: 5_432,
  database_name: 'app',
  admin_username: 'admin',
  admin_password: MEMORY_PASSWORD,
  enabled: true,
  agent_id: null,
  ...DB_TTLS,
  ...DB_LIMITS,
};
const SQL = { creation_sql: "{{username}} '{{password}}'", revocation_sql: '{{username}}' };
const CLIENTS = '/v1/clients';
const CLIENT_FIELDS = {
  type: 'server',
  ip_address: '203.0.113.0/24',
  ip_notes: { site: 'a' },
  description: 'd',
};
const OIDC = '/v1/oidc-bindings';
const bindingOf = (name = freshName()) => ({
  name,
  provider: 'github_actions',
  issuer: 'https://token.actions.githubusercontent.com',
  audiences: ['knoxcall:api'],
  subject: 'repo:acme/shop:ref:refs/heads/*',
  claims: { repository: 'acme/shop' },
  target: 'management',
  agent_id: null,
  ttl_seconds: 600,
  enabled: true,
});
const BINDING_SCOPES = { scopes: ['vaults:read'] };
const REQUEST_IDS = '00000000-0000-4000-8000-';

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
const newKey = async (world: World) =>
  `/v1/api-keys/${(await world.create('/v1/api-keys', { name: freshName() })).id}`;
const newClient = async ({ create }: World) =>
  `/v1/oauth-clients/${(await create('/v1/oauth-clients', clientOf())).id}`;
const newCaller = async ({ create }: World, more: Body = {}) =>
  `${CLIENTS}/${(await create(CLIENTS, { name: freshName(), ...more })).id}`;
/** A thumbprint that no other credential has. */
const freshThumbprint = () => (++made).toString(16).padStart(64, '0');
const newCallerCredential = async (world: World) => {
  const credentials = `${await newCaller(world)}/credentials`;
  const body = { kind: 'mtls_thumbprint', data: { sha256_thumbprint: freshThumbprint() } };
  return `${credentials}/${(await world.create(credentials, body)).id}`;
};
const newVault = async ({ create }: World) => `/v1/vaults/${(await create('/v1/vaults', vaultOf())).name}`;
const newToken = async (world: World) => {
  const tokens = `${await newVault(world)}/tokens`;
  return `${tokens}/${(await world.create(tokens, { value: 'canary' })).token}`;
};
/** The first certificate makes it, with an audit row of its own. */
async function makeClientRoot({ installation, tenant, mode }: World): Promise<void> {
  const scope = { tenantId: tenant.id, sandbox: mode === 'test' };
  await installation.services.clientCa.prepare(scope, { id: UNKNOWN, name: freshName() });
}
const newRule = async ({ create }: World) =>
  `/v1/redaction-rules/${(await create('/v1/redaction-rules', { name: freshName(), match: PAN })).id}`;
const connectionOf = (name = freshName()) => ({
  name,
  engine: 'postgres',
  host: `${name}.example.com`,
  port: 5_432,
  database_name: 'app',
  admin_username: 'admin',
  admin_password: MEMORY_PASSWORD,
  execution_mode: 'direct',
  ...DB_TTLS,
  ...DB_LIMITS,
  connect_options: DB_OPTIONS,
  ...OF_OTHER_MODES,
});
/** Beside the one above, what only mongo has. */
const mongoOf = () => ({
  ...connectionOf(),
  engine: 'mongodb',
  connect_options: { authSource: 'admin', replicaSet: 'rs0', tls: true },
});
const newConnection = async ({ create }: World) => `${DB}/${(await create(DB, connectionOf())).name}`;
const newBinding = async ({ create }: World) =>
  `${OIDC}/${(await create(OIDC, { ...bindingOf(), ...BINDING_SCOPES })).id}`;
const newDbRole = async (world: World) => {
  const connection = await newConnection(world);
  return { connection, role: (await world.create(`${connection}/roles`, roleOf())).name };
};
const roleOf = (name = freshName()) => ({
  name,
  template: 'readonly',
  schemas: ['public'],
  ...DB_TTLS,
  ...DB_LIMITS,
});
const newLease = async (world: World) => {
  const { connection, role } = await newDbRole(world);
  return `${DB}/leases/${(await world.create(`${connection}/creds/${role}`, {})).lease_id}`;
};
const vaultOf = (name = freshName()) => ({
  name,
  token_format: 'generic',
  custody_mode: 'managed',
  ...VAULT,
});

function askAsKey({ installation, tenant, mode }: World, path: string, form: Record<string, string>) {
  const authorization = basicOfKey(tenant[mode].apiKey);
  return askOAuth(installation.call, path, { authorization, form });
}

async function accessToken(world: World): Promise<string> {
  const { json } = await askAsKey(world, '/oauth/token', { grant_type: 'client_credentials' });
  return json['access_token'];
}

async function dbRolePath(world: World): Promise<string> {
  const { connection, role } = await newDbRole(world);
  return `${connection}/roles/${role}`;
}

async function keyRole(world: World): Promise<string> {
  const { json } = await world.call('GET', '/v1/roles?subject_kind=api_key');
  return json['data'][0].id;
}

/** On PostgreSQL a row is in the feed once it is older than this (README of api-logs). */
const FEED_WATERMARK_MS = 5_001;

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

/** What a proxied call leaves behind; no endpoint makes such a row. */
async function newLog({ tenant, mode, installation }: World): Promise<string> {
  const requestId = `${REQUEST_IDS}${String(++made).padStart(12, '0')}` as RequestId;
  const { apiLogs } = installation.services;
  apiLogs.append({
    scope: { tenantId: tenant.id, sandbox: mode === 'test' },
    requestId,
    routeId: null,
    matchedClientId: null,
    identificationMethod: 'api_key',
    method: 'GET',
    statusCode: 200,
    srcIp: null,
    environment: null,
    tsMs: installation.clock.nowMs(),
    path: '/',
    latencyMs: 1,
    upstreamHost: 'example.com',
    error: null,
    rateLimited: false,
    proxyMode: 'ephemeral',
    clientOrigin: 'direct',
    echo: null,
  });
  await apiLogs.flush();
  installation.clock.advance(FEED_WATERMARK_MS);
  return requestId;
}

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

/** One of which no other tenant has the number, and which opens nothing. */
async function retiredMasterKey({ tenant, installation }: World): Promise<number> {
  await installation.services.kms.rotate(tenant.id);
  return (await installation.services.kms.rotate(tenant.id)) - 1;
}

async function refreshToken({ tenant, installation }: World): Promise<string> {
  const body = { email: tenant.ownerEmail, password: OWNER_PASSWORD, cookie: false };
  const answer = await installation.call('POST', '/admin/auth/login', { body });
  return answer.json['refresh_token'];
}

/** By definition, as `GET /v1/vaults/:nameOrId`; the twin under `/admin` takes the same. */
export const ROUTE_SAMPLES: Readonly<Record<string, RouteSample>> = {
  ...CLIENT_TOKEN_SAMPLES,
  ...FACTOR_SAMPLES,
  ...CRYPTO_KEY_SAMPLES,
  ...SIGNING_SAMPLES,
  ...PORTABLE_SAMPLES,
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
  'POST /v1/api-keys': {
    bodies: async (world) => [
      { name: freshName(), role_ids: [await keyRole(world)], ...KEY_LIMIT },
      { name: freshName(), grants: NARROWED },
    ],
  },
  'POST /admin/api-keys': {
    bodies: async (world) => [
      { name: freshName(), role_ids: [await keyRole(world)], ...KEY_LIMIT },
      { name: freshName(), grants: NARROWED },
      {
        name: freshName(),
        key_type: 'access_key',
        scopes: ['vaults:read'],
        expires_at: '2030-01-01T00:00:00Z',
      },
    ],
  },
  'DELETE /v1/api-keys/:id': { path: newKey },
  [`POST ${CLIENTS}`]: { bodies: () => [{ name: freshName(), ...CLIENT_FIELDS }] },
  [`GET ${CLIENTS}/match`]: {
    async path(world) {
      await newCaller(world, { ip_address: '127.0.0.1' });
      return `${CLIENTS}/match`;
    },
  },
  [`GET ${CLIENTS}/:id`]: { path: newCaller },
  [`PATCH ${CLIENTS}/:id`]: {
    path: newCaller,
    bodies: () => [{ name: freshName(), ...CLIENT_FIELDS, enabled: false, collection_id: UNKNOWN }],
  },
  [`DELETE ${CLIENTS}/:id`]: { path: newCaller },
  [`GET ${CLIENTS}/:id/credentials`]: { path: async (world) => `${await newCaller(world)}/credentials` },
  [`POST ${CLIENTS}/:id/credentials`]: {
    path: async (world) => `${await newCaller(world)}/credentials`,
    async bodies(world) {
      await makeClientRoot(world);
      return [
        { kind: 'ip', label: 'office', data: { value: '203.0.113.0/24' } },
        { kind: 'mtls_thumbprint', label: null, data: { sha256_thumbprint: freshThumbprint() } },
        { kind: 'mtls_thumbprint', label: 'laptop', data: { mode: 'issue' } },
      ];
    },
  },
  [`PATCH ${CLIENTS}/:id/credentials/:credId`]: {
    path: newCallerCredential,
    bodies: () => [{ enabled: false, label: 'old' }],
  },
  [`DELETE ${CLIENTS}/:id/credentials/:credId`]: { path: newCallerCredential },
  'POST /v1/oauth-clients': {
    bodies: () => [clientOf(), { name: freshName(), type: 'public', ...CODE_CLIENT }],
  },
  'GET /v1/oauth-clients/:id': { path: newClient },
  'PATCH /v1/oauth-clients/:id': {
    path: newClient,
    bodies: () => [{ ...CLIENT_TERMS, name: freshName(), active: true }],
  },
  'POST /v1/oauth-clients/:id/rotate-secret': {
    path: async (world) => `${await newClient(world)}/rotate-secret`,
  },
  'DELETE /v1/oauth-clients/:id': { path: newClient },
  'POST /v1/oauth/explain': {
    bodies: async (world) => [
      { token: await accessToken(world), dpop_proof: 'p', method: 'GET', url: 'https://api.example.com/v1' },
    ],
  },
  'GET /v1/oauth/tokens/:id/lineage': {
    async path(world) {
      const { json } = await askAsKey(world, '/oauth/introspect', { token: await accessToken(world) });
      return `/v1/oauth/tokens/${json['jti']}/lineage`;
    },
  },
  'GET /v1/logs/:request_id': { path: async (world) => `/v1/logs/${await newLog(world)}` },
  'POST /v1/vaults': { bodies: () => [vaultOf()] },
  'GET /v1/vaults/:nameOrId': { path: newVault },
  'PATCH /v1/vaults/:nameOrId': { path: newVault, bodies: () => [{ ...VAULT, enabled: true }] },
  'DELETE /v1/vaults/:nameOrId': { path: newVault },
  'POST /v1/vaults/:nameOrId/rotate': {
    path: async (world) => `${await newVault(world)}/rotate`,
    bodies: () => [{}],
  },
  'GET /v1/vaults/:nameOrId/tokens': { path: async (world) => `${await newVault(world)}/tokens` },
  'POST /v1/vaults/:nameOrId/tokens': {
    path: async (world) => `${await newVault(world)}/tokens`,
    bodies: () => [{ value: 'canary', ...TOKEN_OPTIONS }],
  },
  'POST /v1/vaults/:nameOrId/tokens/bulk': {
    path: async (world) => `${await newVault(world)}/tokens/bulk`,
    bodies: () => [{ values: [{ value: 'canary', ...TOKEN_OPTIONS }] }],
  },
  'GET /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken },
  'PATCH /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken, bodies: () => [{ metadata: { a: 1 } }] },
  'DELETE /v1/vaults/:nameOrId/tokens/:idOrToken': { path: newToken },
  [`POST ${DB}`]: { bodies: () => [connectionOf(), mongoOf()] },
  [`GET ${DB}/:name`]: { path: newConnection },
  [`PATCH ${DB}/:name`]: {
    path: async ({ create }) => `${DB}/${(await create(DB, mongoOf())).name}`,
    bodies: () => [
      { ...DB_CHANGES, connect_options: { ...DB_OPTIONS, authSource: 'admin', replicaSet: 'rs0' } },
      { ...DB_CHANGES, connect_options: { tls: true } },
    ],
  },
  [`DELETE ${DB}/:name`]: { path: newConnection },
  [`POST ${DB}/:name/rotate-ssh-key`]: {
    path: async (world) => `${await newConnection(world)}/rotate-ssh-key`,
    bodies: () => [{ ssh_private_key: 'k', ssh_passphrase: 'p', ssh_host_fingerprint: 'f' }],
    refused: 400,
  },
  [`POST ${DB}/:name/rotate-admin-password`]: {
    path: async (world) => `${await newConnection(world)}/rotate-admin-password`,
  },
  [`POST ${DB}/:name/test`]: {
    async path(world) {
      const connection = await newConnection(world);
      await world.create(`${connection}/roles`, roleOf('tested'));
      return `${connection}/test`;
    },
    bodies: () => [{ role: 'tested' }],
  },
  'POST /admin/dyn-db-credentials/test': { bodies: () => [connectionOf(), mongoOf()] },
  [`GET ${DB}/:name/orphans`]: { path: async (world) => `${await newConnection(world)}/orphans` },
  [`GET ${DB}/:name/roles`]: { path: async (world) => `${await newConnection(world)}/roles` },
  [`POST ${DB}/:name/roles`]: {
    path: async (world) => `${await newConnection(world)}/roles`,
    bodies: () => [roleOf(), { name: freshName(), ...SQL, ...DB_TTLS, ...DB_LIMITS }],
  },
  [`GET ${DB}/:name/roles/:role`]: { path: dbRolePath },
  [`PATCH ${DB}/:name/roles/:role`]: {
    path: dbRolePath,
    bodies: () => [{ ...SQL, ...DB_TTLS, ...DB_LIMITS }],
  },
  [`DELETE ${DB}/:name/roles/:role`]: { path: dbRolePath },
  [`POST ${DB}/:name/creds/:role`]: {
    async path(world) {
      const { connection, role } = await newDbRole(world);
      return `${connection}/creds/${role}`;
    },
    bodies: () => [{ ttl_seconds: 60 }],
  },
  [`GET ${DB}/leases/:id`]: { path: newLease },
  [`POST ${DB}/leases/:id/renew`]: {
    path: async (world) => `${await newLease(world)}/renew`,
    bodies: () => [{ ttl_seconds: 60 }],
  },
  [`POST ${DB}/leases/:id/revoke`]: {
    path: async (world) => `${await newLease(world)}/revoke`,
    bodies: () => [{ force: true }],
  },
  [`POST ${DB}/leases/revoke`]: {
    bodies: () => [{ connection: 'orders', role: 'reader', ids: [1] }],
  },
  [`POST ${OIDC}`]: {
    bodies: async (world) => [
      { ...bindingOf(), ...BINDING_SCOPES },
      { ...bindingOf(), role_ids: [await keyRole(world)] },
    ],
  },
  [`GET ${OIDC}/:id`]: { path: newBinding },
  [`PATCH ${OIDC}/:id`]: {
    path: newBinding,
    bodies: async (world) => [
      { ...bindingOf(), ...BINDING_SCOPES },
      { ...bindingOf(), role_ids: [await keyRole(world)] },
    ],
  },
  [`DELETE ${OIDC}/:id`]: { path: newBinding },
  'PUT /v1/egress/allowlist': { bodies: () => [{ hosts: [] }] },
  'POST /v1/redaction-rules': { bodies: () => [{ name: freshName(), ...RULE }] },
  'POST /v1/redaction-rules/test': {
    bodies: () => [{ sample: '{}', content_type: 'application/json', rules: [{ name: 'n', ...RULE }] }],
  },
  ...PKI_SAMPLES,
  ...ACME_SAMPLES,
  'GET /v1/redaction-rules/:id': { path: newRule },
  'PATCH /v1/redaction-rules/:id': { path: newRule, bodies: () => [{ name: freshName(), ...RULE }] },
  'DELETE /v1/redaction-rules/:id': { path: newRule },
};

export interface Kind {
  /** Makes a row of that name, of which each mode may have its own. */
  make(world: World, name: string): Promise<{ readonly list: string; readonly id: string }>;
}

/** What there are several of in a tenant, by the path of its collection. */
export const KINDS: Readonly<Record<string, Kind>> = {
  ...CRYPTO_KEY_KINDS,
  '/v1/api-keys': {
    make: async ({ create }, name) => ({
      list: '/v1/api-keys',
      id: (await create('/v1/api-keys', { name })).id,
    }),
  },
  '/v1/oauth-clients': {
    make: async ({ create }, name) => ({
      list: '/v1/oauth-clients',
      id: (await create('/v1/oauth-clients', clientOf(name))).id,
    }),
  },
  [CLIENTS]: {
    make: async ({ create }, name) => ({ list: CLIENTS, id: (await create(CLIENTS, { name })).id }),
  },
  [`${CLIENTS}/:id/credentials`]: {
    async make({ create }, name) {
      const { id } = await create(CLIENTS, { name });
      const list = `${CLIENTS}/${id}/credentials`;
      return { list, id: (await create(list, { kind: 'ip', data: { value: '203.0.113.7' } })).id };
    },
  },
  '/v1/logs': { make: async (world) => ({ list: '/v1/logs', id: await newLog(world) }) },
  '/v1/vaults': {
    make: async ({ create }, name) => ({
      list: '/v1/vaults',
      id: (await create('/v1/vaults', vaultOf(name))).id,
    }),
  },
  '/v1/vaults/:nameOrId/tokens': {
    async make({ create }, name) {
      await create('/v1/vaults', vaultOf(name));
      const list = `/v1/vaults/${name}/tokens`;
      return { list, id: (await create(list, { value: 'canary' })).id };
    },
  },
  '/v1/vaults/:nameOrId/tokens/bulk': {
    async make({ create }, name) {
      await create('/v1/vaults', vaultOf(name));
      const list = `/v1/vaults/${name}/tokens`;
      const { tokens } = await create(`${list}/bulk`, { values: [{ value: 'canary' }] });
      return { list, id: (tokens as unknown as { id: string }[])[0]!.id };
    },
  },
  [DB]: {
    make: async ({ create }, name) => ({ list: DB, id: (await create(DB, connectionOf(name))).id }),
  },
  [`${DB}/:name/roles`]: {
    async make({ create }, name) {
      await create(DB, connectionOf(name));
      const list = `${DB}/${name}/roles`;
      return { list, id: (await create(list, roleOf(name))).id };
    },
  },
  [OIDC]: {
    make: async ({ create }, name) => ({
      list: OIDC,
      id: (await create(OIDC, { ...bindingOf(name), ...BINDING_SCOPES })).id,
    }),
  },
  ...PKI_KINDS,
  ...ACME_KINDS,
  '/v1/redaction-rules': {
    make: async ({ create }, name) => ({
      list: '/v1/redaction-rules',
      id: (await create('/v1/redaction-rules', { name, match: PAN })).id,
    }),
  },
};

/** The routes that need a sample, and that it lacks something of; then the samples that belong to no route. */
export async function samplesAmiss(
  definitions: readonly RouteDefinition[],
  samples: Readonly<Record<string, RouteSample>>,
  world: World,
): Promise<string[]> {
  const amiss: string[] = [];
  for (const definition of definitions) {
    const name = nameOf(definition);
    const { path, bodies, operatorBodies = [] } = samples[name] ?? {};
    if (definition.path.includes('/:') && !path) amiss.push(`${name}: no path`);
    if (!definition.body) continue;
    const all = bodies && [
      ...(await bodies(samples[name]?.ofNewUser ? await world.withNewUser() : world)),
      ...operatorBodies,
    ];
    const members = all && membersWithoutSample(definition.body, all);
    if (!members) amiss.push(`${name}: no bodies`);
    else amiss.push(...members.map((member) => `${name}: no body has ${member}`));
  }
  const known = new Set(definitions.map(nameOf));
  return [...amiss, ...strangers(samples, known)];
}

/** Every path that lists rows or to which rows are added, as it is under `/v1` where it has a twin there. */
export function collectionsOf(definitions: readonly RouteDefinition[]): Set<string> {
  const ofTenants = definitions.filter(({ access = 'tenant' }) => access === 'tenant');
  const known = new Set(ofTenants.map(nameOf));
  const isCollection = ({ method, path, status, answer = 'single' }: RouteDefinition) =>
    method === 'POST' ? status === 201 || known.has(`GET ${path}`) : answer !== 'single';
  const paths = ofTenants.filter(isCollection).map(({ path }) => path);
  const underV1 = (path: string) => path.replace(/^\/admin\//, '/v1/');
  return new Set(paths.map((path) => (paths.includes(underV1(path)) ? underV1(path) : path)));
}

/** The collections that are neither tried nor exempt; then what is tried or exempt and is no collection, or is both. */
export function kindsAmiss(
  definitions: readonly RouteDefinition[],
  kinds: Readonly<Record<string, Kind>>,
  exempt: Readonly<Record<string, string>>,
): string[] {
  const collections = collectionsOf(definitions);
  const missing = [...collections].filter((path) => !(path in kinds) && !(path in exempt));
  const both = Object.keys(kinds).filter((path) => path in exempt);
  return [
    ...missing.map((path) => `${path}: not tried`),
    ...[...strangers(kinds, collections), ...strangers(exempt, collections)],
    ...both.map((path) => `${path}: tried and exempt`),
  ];
}

function strangers(named: object, known: ReadonlySet<string>): string[] {
  return Object.keys(named)
    .filter((name) => !known.has(name))
    .map((name) => `${name}: there is none`);
}
