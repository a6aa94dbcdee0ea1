import { assert } from '../../kernel/assert.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import type { JsonObject } from '../../platform/http/openapi/components.js';
import { openApiDocument, type Tag } from '../../platform/http/openapi/document.js';
import { CAPABILITY_SCHEME, USER_SCHEME } from '../../platform/http/openapi/operation.js';
import type { RouteDefinition } from '../../platform/http/route.js';
import { describeAcme } from './acme-description.js';
import { describeApiDocs } from './api-docs.js';
import { describeHealth } from './health.js';
import { describeHooks } from './hooks-description.js';
import { describeMetrics } from './metrics.js';
import { describeOAuth } from './oauth-description.js';
import { describePki } from './pki-description.js';
import { describeProxy } from './proxy-api.js';
import { describeRouteCalls } from './route-description.js';

const INFO: JsonObject = {
  title: 'KnoxCall',
  summary: 'Zero-trust API proxy and secrets platform.',
  description: [
    'Callers send tokens; the proxy puts in the real values, guards where they go, redacts what comes back and logs it.',
    'Success is `{data, meta}`, under `/admin/auth` and `/oauth` the members alone, a refusal `{error: {type, message, request_id}}`. Times are ISO 8601 in UTC, durations carry their unit in the name. A key of test mode sees nothing of live mode, and the reverse; what another tenant or mode has is 404.',
  ].join('\n\n'),
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
};

const KEY_SCHEMES: JsonObject = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, `tk_live_…` or `tk_test_…`, or an access token, as `Authorization: Bearer`.',
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'The same key in a header of its own.',
  },
};

const USER_SCHEMES: JsonObject = {
  [CAPABILITY_SCHEME]: {
    type: 'http',
    scheme: 'bearer',
    description: 'A client token, `kct_…`, which is good for one act.',
  },
  [USER_SCHEME]: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'The admin token of a signed-in user, for 15 minutes.',
  },
};

const CLIENT_TOKENS: Tag = {
  name: 'Client tokens',
  description: 'What lets a page in a browser do one act, without a key.',
};

const PORTABLE: Tag = {
  name: 'Portable encryption',
  description: 'Values that travel sealed, in any system, until they are opened here.',
};

/** By the first segment after the mount. */
const TAGS: Readonly<Record<string, Tag>> = {
  account: { name: 'Account', description: 'Plan, subscription and what the month has used.' },
  analytics: { name: 'Analytics', description: 'Counts and latencies of the proxied calls.' },
  alerts: { name: 'Alerts', description: 'Who is told when calls fail, are slow or are refused.' },
  'api-keys': { name: 'API keys', description: 'Credentials of one tenant and mode.' },
  'audit-logs': {
    name: 'Audit logs',
    description: 'Who did what: one row for every change and every read of a value.',
  },
  auth: { name: 'Sign-in', description: 'Sessions of users.' },
  client: CLIENT_TOKENS,
  'client-tokens': CLIENT_TOKENS,
  clients: {
    name: 'Clients',
    description: 'Who may call routes, by where they call from: addresses and client certificates.',
  },
  crypto: {
    name: 'Keys',
    description: 'Keys that vaults and portable texts are sealed with, and their versions.',
  },
  decrypt: PORTABLE,
  'dyn-db-credentials': {
    name: 'Dynamic database credentials',
    description: 'Users of a database that live as long as their lease.',
  },
  egress: { name: 'Egress', description: 'Where calls may go.' },
  encrypt: PORTABLE,
  environments: {
    name: 'Environments',
    description: 'Stages, each with values and configuration of its own.',
  },
  'inbound-webhooks': {
    name: 'Inbound webhooks',
    description: 'Signed requests of others, verified and passed on.',
  },
  inspect: PORTABLE,
  invitations: { name: 'Team', description: 'Who belongs to a tenant, and who is invited.' },
  logs: { name: 'Logs', description: 'One row for every proxied call.' },
  oauth: { name: 'OAuth', description: 'Access tokens: getting, asking about and revoking them.' },
  'oauth-clients': { name: 'OAuth clients', description: 'Programs that get tokens of their own.' },
  'oidc-bindings': {
    name: 'OIDC bindings',
    description: 'Which workloads get tokens by an identity that their platform vouches for.',
  },
  'parity-audit': { name: 'Deployment', description: 'What this server has, beside a hosted one.' },
  pki: {
    name: 'Certificates',
    description: 'Authorities that sign certificates, and what they have revoked.',
  },
  proxy: { name: 'Proxy', description: 'Calls to an upstream of the caller’s choice.' },
  'redaction-rules': { name: 'Redaction rules', description: 'What is masked in answers and log rows.' },
  roles: { name: 'Roles', description: 'Sets of permissions that keys and users are given.' },
  routes: { name: 'Routes', description: 'Configured ways to upstreams, called by name.' },
  secrets: { name: 'Secrets', description: 'Values that calls need and callers do not see, by environment.' },
  signup: { name: 'Signup', description: 'A tenant for strangers, where the operator lets them in.' },
  team: { name: 'Team', description: 'Who belongs to a tenant, and who is invited.' },
  tenants: { name: 'Tenants', description: 'What is switched for a tenant as a whole.' },
  'tenant-kms': {
    name: 'Tenant KMS',
    description: "A key in the tenant's own cloud that wraps its master keys: bring your own key.",
  },
  webhooks: { name: 'Webhooks', description: 'What is sent to URLs of the tenant when something happens.' },
  wrap: {
    name: 'Wrap',
    description: 'Credentials that are used by those who do not hold them, and calls that go past the proxy.',
  },
  vaults: { name: 'Vaults', description: 'Values behind tokens, each vault under a key of its own.' },
};

const OPERATIONS: Tag = { name: 'Operations', description: 'For those who run the server.' };

function tagOf(path: string): Tag {
  if (/^\/(oauth|\.well-known)\//.test(path)) return TAGS['oauth']!;
  if (path.startsWith('/pki/')) return TAGS['pki']!;
  if (path.startsWith('/hooks/')) return TAGS['inbound-webhooks']!;
  const segment = /^\/(?:v1|admin)\/([^/]+)/.exec(path)?.[1];
  if (segment === undefined) return OPERATIONS;
  const tag = TAGS[segment];
  assert(tag, `the first segment ${segment} has no tag`);
  return tag;
}

/** The document of `/openapi.json`; docs/openapi.json is the same, checked in. */
export function apiDescription(definitions: readonly RouteDefinition[]): JsonObject {
  return openApiDocument({
    info: INFO,
    securitySchemes: { ...KEY_SCHEMES, ...USER_SCHEMES },
    security: Object.keys(KEY_SCHEMES).map((scheme) => ({ [scheme]: [] })),
    routes: mountedRoutes(definitions),
    described: [
      describeProxy,
      describeRouteCalls,
      describeHooks,
      describeOAuth,
      describePki,
      describeAcme,
      describeHealth,
      describeMetrics,
      describeApiDocs,
    ],
    tagOf,
  });
}
