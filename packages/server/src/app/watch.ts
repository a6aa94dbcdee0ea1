import type { Accounts } from '../capabilities/accounts/index.js';
import { alertRoutes, createAlerts } from '../capabilities/alerts/index.js';
import { type Analytics, analyticsRoutes } from '../capabilities/analytics/index.js';
import type { ApiLogs } from '../capabilities/api-logs/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { WebhookSigner } from '../capabilities/crypto-keys/index.js';
import type { EgressAllowlist } from '../capabilities/egress-allowlist/index.js';
import { createInboundWebhooks, inboundWebhookRoutes } from '../capabilities/inbound-webhooks/index.js';
import type { TenantKeys } from '../capabilities/kms/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import type { RouteTable } from '../capabilities/routes/index.js';
import type { RouteDefinition } from '../platform/http/route.js';
import type { Jobs } from '../platform/jobs/jobs.js';
import type { Outbox } from '../platform/outbox/outbox.js';
import type { ServicesDeps } from './services-deps.js';

interface WatchServicesDeps extends Omit<ServicesDeps, 'kms'> {
  readonly kms: TenantKeys;
  readonly accounts: Accounts;
  readonly analytics: Analytics;
  readonly auditLogs: AuditLogs;
  /** What calls are written to. */
  readonly callLog: Pick<ApiLogs, 'assertRoom' | 'append'>;
  readonly signer: WebhookSigner;
  readonly egressAllowlist: EgressAllowlist;
  readonly plans: Plans;
  readonly jobs: Jobs;
  readonly routes: RouteTable;
  readonly outbox: Outbox;
}

/** What tells of calls, and what is told by others. */
export function createWatchServices(deps: WatchServicesDeps) {
  const { kms: tenantKeys, callLog: apiLogs } = deps;
  return {
    alerts: createAlerts({ ...deps, tenantKeys }),
    inboundWebhooks: createInboundWebhooks({ ...deps, tenantKeys, apiLogs }),
  };
}

export function watchRoutes({
  alerts,
  analytics,
  inboundWebhooks,
}: ReturnType<typeof createWatchServices> & { readonly analytics: Analytics }): RouteDefinition[] {
  return [...alertRoutes(alerts), ...analyticsRoutes(analytics), ...inboundWebhookRoutes(inboundWebhooks)];
}
