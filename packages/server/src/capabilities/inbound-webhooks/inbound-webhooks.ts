import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Egress } from '../../platform/egress/egress.js';
import type { JobContext, JobReport } from '../../platform/jobs/definition.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Database } from '../../platform/storage/database.js';
import type { Accounts } from '../accounts/index.js';
import type { ApiLogs } from '../api-logs/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { WebhookSigner } from '../crypto-keys/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { createTargetCheck } from '../egress-allowlist/index.js';
import type { TenantKeys } from '../kms/index.js';
import type { RouteProxy } from '../proxy/index.js';
import type { RouteTable } from '../routes/index.js';
import { createSealedContents } from './deliveries/content.js';
import { runCourier } from './deliveries/courier.js';
import { createInbox } from './deliveries/inbox.js';
import { createInboundRequests } from './deliveries/on-request.js';
import { createRouteTry, type RouteTry } from './deliveries/route-try.js';
import { createInboundDeliveryStore } from './deliveries/store.js';
import { createInboundEntry, type InboundEntry } from './entry.js';
import { createForward, type ForwardDeps } from './forward.js';
import { DELIVERY_JOB } from './job-kinds.js';
import { createSealedSecrets } from './sealed-secret.js';
import { createInboundWebhookRecords } from './service.js';
import { createInboundWebhookStore } from './store.js';

export interface InboundWebhooksDeps {
  readonly jobs: Pick<Jobs, 'wake'>;
  readonly routes: Pick<RouteTable, 'find'>;
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly accounts: Pick<Accounts, 'tenantBySlug' | 'tenantById'>;
  readonly apiLogs: Pick<ApiLogs, 'assertRoom' | 'append'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly signer: Pick<WebhookSigner, 'check' | 'signatures'>;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly areHttpWebhooksAllowed: boolean;
}

/** What an installation knows of itself only once it has begun. */
export interface InboundInstallation extends Pick<ForwardDeps, 'hopMarker' | 'certificateHeader'> {
  readonly routeProxy: Pick<RouteProxy, 'serveRoute'>;
}

const KEPT_MS = 30 * 24 * 3_600_000;

export type InboundWebhooks = ReturnType<typeof createInboundWebhooks>;

export function createInboundWebhooks(deps: InboundWebhooksDeps) {
  const { clock, areHttpWebhooksAllowed: mayBePlain } = deps;
  const store = createInboundWebhookStore(deps.db);
  const sealed = createSealedSecrets(deps.tenantKeys);
  const deliveries = createInboundDeliveryStore(deps.db);
  const contents = createSealedContents(deps.tenantKeys);
  const wake = () => deps.jobs.wake(DELIVERY_JOB);
  const records = createInboundWebhookRecords({
    ...deps,
    store,
    sealed,
    deliveries,
    targets: createTargetCheck({ ...deps, mayBePlain }),
    wake,
  });
  let tryRoute: RouteTry | null = null;
  return {
    records,
    requests: createInboundRequests({ ...deps, records, deliveries, wake }),

    entry({ routeProxy, ...installation }: InboundInstallation): InboundEntry {
      tryRoute = createRouteTry({ ...deps, deliveries, contents, routeProxy });
      return createInboundEntry({
        ...deps,
        store,
        sealed,
        forward: createForward({ ...deps, mayBePlain, ...installation }),
        inbox: createInbox({ ...deps, ...installation, webhooks: store, deliveries, contents, wake }),
      });
    },

    /** Nothing is carried where no calls are served. */
    carry: async (context: JobContext): Promise<JobReport> =>
      tryRoute === null
        ? { rows: 0 }
        : runCourier({ ...deps, webhooks: store, deliveries, tryRoute }, context),

    async removeExpired(rowsMax: number): Promise<number> {
      const nowMs = clock.nowMs();
      const [receipts, kept] = await Promise.all([
        store.removeExpired(nowMs, rowsMax),
        deliveries.removeOlder(nowMs - KEPT_MS, rowsMax),
      ]);
      return Math.max(receipts, kept);
    },
  };
}
