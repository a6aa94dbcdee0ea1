import { signInJobs } from '../capabilities/accounts/index.js';
import { acmeJobs } from '../capabilities/acme/index.js';
import { alertJobs } from '../capabilities/alerts/index.js';
import { analyticsJobs } from '../capabilities/analytics/index.js';
import { apiLogJobs } from '../capabilities/api-logs/index.js';
import { auditJobs } from '../capabilities/audit-logs/index.js';
import { authorityJobs } from '../capabilities/authorities/index.js';
import { clientTokenJobs } from '../capabilities/client-tokens/index.js';
import { dpopJobs } from '../capabilities/dpop/index.js';
import { dynDbJobs } from '../capabilities/dyn-db/index.js';
import { idempotencyJobs } from '../capabilities/idempotency/index.js';
import { inboundWebhookJobs } from '../capabilities/inbound-webhooks/index.js';
import { tenantKmsJobs } from '../capabilities/kms/index.js';
import { oauthJobs } from '../capabilities/oauth/index.js';
import { oidcBindingJobs } from '../capabilities/oidc-bindings/index.js';
import { pkiJobs } from '../capabilities/pki/index.js';
import { oauth2SecretJobs } from '../capabilities/secrets/index.js';
import { signupJobs } from '../capabilities/signup/index.js';
import { tenantJobs } from '../capabilities/tenants/index.js';
import { vaultJobs } from '../capabilities/vaults/index.js';
import { webhookJobs } from '../capabilities/webhooks/index.js';
import { wrapJobs } from '../capabilities/wrap/index.js';
import type { JobDefinition } from '../platform/jobs/definition.js';
import { rateLimitRetention } from '../platform/limits/retention.js';
import type { Services } from './services.js';

type WithJobs = Pick<
  Services,
  | 'jobs'
  | 'outbox'
  | 'alerts'
  | 'analytics'
  | 'apiLogs'
  | 'logAnchors'
  | 'auditChain'
  | 'auth'
  | 'acme'
  | 'authorities'
  | 'clientTokens'
  | 'dpop'
  | 'dynDb'
  | 'idempotency'
  | 'inboundWebhooks'
  | 'kmsVerification'
  | 'limiter'
  | 'oauth'
  | 'oauth2Secrets'
  | 'oidcBindings'
  | 'pki'
  | 'rewraps'
  | 'signups'
  | 'tenantRemoval'
  | 'vaults'
  | 'webhooks'
  | 'wrap'
>;

/** All background work of the server: the one list. What it holds is checked in as docs/operations/jobs.md. */
export function jobDefinitions(services: WithJobs): JobDefinition[] {
  const {
    jobs,
    outbox,
    alerts,
    analytics,
    apiLogs,
    logAnchors,
    auditChain,
    auth,
    acme,
    authorities,
    clientTokens,
    dpop,
    dynDb,
    idempotency,
    inboundWebhooks,
    kmsVerification,
    limiter,
    oauth,
    oauth2Secrets,
    oidcBindings,
    pki,
    rewraps,
    signups,
    tenantRemoval,
    vaults,
    webhooks,
    wrap,
  } = services;
  return [
    ...jobs.definitions(),
    ...outbox.definitions(),
    ...alertJobs(alerts),
    ...analyticsJobs(analytics),
    ...apiLogJobs(apiLogs, logAnchors),
    ...auditJobs(auditChain),
    ...acmeJobs(acme),
    ...authorityJobs(authorities),
    ...clientTokenJobs(clientTokens),
    ...dpopJobs(dpop),
    ...dynDbJobs(dynDb),
    ...idempotencyJobs(idempotency),
    ...inboundWebhookJobs(inboundWebhooks),
    ...tenantKmsJobs(kmsVerification),
    ...oauthJobs(oauth.tokens),
    ...oauth2SecretJobs(oauth2Secrets),
    ...oidcBindingJobs(oidcBindings),
    ...pkiJobs(pki),
    rateLimitRetention(limiter),
    ...rewraps.jobs(),
    ...signInJobs(auth),
    ...oauth.consent.jobs,
    ...signupJobs(signups),
    ...tenantJobs(tenantRemoval),
    ...vaultJobs(vaults),
    ...webhookJobs(webhooks),
    ...wrapJobs(wrap),
  ];
}
