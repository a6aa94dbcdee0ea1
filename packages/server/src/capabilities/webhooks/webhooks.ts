import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Egress } from '../../platform/egress/egress.js';
import { createStatusCalls } from '../../platform/egress/status-calls.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database } from '../../platform/storage/database.js';
import type { Accounts } from '../accounts/index.js';
import type { AuditChain, AuditLogs } from '../audit-logs/index.js';
import type { WebhookSigner } from '../crypto-keys/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { createTargetCheck } from '../egress-allowlist/index.js';
import type { TenantKeys } from '../kms/index.js';
import { createCourier } from './deliveries/courier.js';
import { createFanOut } from './deliveries/fan-out.js';
import { createWebhookRequests } from './deliveries/on-request.js';
import { createSender } from './deliveries/sender.js';
import { createDeliveryStore } from './deliveries/store.js';
import { createAuditFeed } from './feeds/audit-feed.js';
import { createCallEvents, INTEREST } from './feeds/call-events.js';
import { createCallFeed } from './feeds/call-feed.js';
import { createCallEventStore } from './feeds/call-store.js';
import { createAuditMarkStore } from './feeds/marks.js';
import { createPublishedEvents } from './feeds/published.js';
import { AUDIT_JOB, CALL_JOB, DELIVERY_JOB, RETENTION_JOB } from './job-kinds.js';
import { createWebhookParts } from './sealed-parts.js';
import { createWebhookRecords } from './service.js';
import { createWebhookStore } from './store.js';

export interface WebhooksDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh' | 'onChange'>;
  readonly jobs: Pick<Jobs, 'wake'>;
  readonly outbox: Pick<Outbox, 'listen'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly auditChain: Pick<AuditChain, 'heads' | 'rowsAfter'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly signer: WebhookSigner;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly areHttpWebhooksAllowed: boolean;
  readonly cacheCounts?: CacheCounts;
}

/** Logs, dead letters and what was delivered are kept that long. */
const KEPT_MS = 30 * 24 * 3_600_000;

export type Webhooks = ReturnType<typeof createWebhooks>;

/** Builds the parts of this folder and connects them with what they hear of. */
export function createWebhooks(deps: WebhooksDeps) {
  const { db, clock, generations, jobs, outbox, accounts, egress, areHttpWebhooksAllowed: mayBePlain } = deps;
  const webhooks = createWebhookStore(db);
  const deliveries = createDeliveryStore(db);
  const marks = createAuditMarkStore(db);
  const events = createCallEventStore(db);
  const parts = createWebhookParts(deps.tenantKeys);
  const wake = () => jobs.wake(DELIVERY_JOB);
  const fanOut = createFanOut({ ...deps, webhooks, deliveries, wake });
  const sender = createSender({
    ...deps,
    parts,
    statusCall: createStatusCalls({ clock, egress }),
    slugOf: async (tenantId) => (await accounts.tenantById(tenantId))?.slug,
    mayBePlain,
  });
  const auditFeed = createAuditFeed({ ...deps, webhooks, marks, fanOut, wake: () => jobs.wake(AUDIT_JOB) });
  const { callEvents, changed } = createCallEvents({
    ...deps,
    webhooks,
    events,
    wake: () => jobs.wake(CALL_JOB),
  });
  // Also of webhooks that another process has written.
  generations.onChange((name) => {
    if (name.startsWith(`${INTEREST}:`)) auditFeed.expect();
  });
  outbox.listen(createPublishedEvents({ db, clock, webhooks, fanOut }));
  const records = createWebhookRecords({
    ...deps,
    webhooks,
    deliveries,
    marks,
    parts,
    targets: createTargetCheck({ ...deps, mayBePlain }),
    changed,
    wake() {
      auditFeed.expect();
      wake();
      jobs.wake(RETENTION_JOB);
    },
  });

  return {
    records,
    requests: createWebhookRequests({ ...deps, records, webhooks, deliveries, sender, wake }),
    courier: createCourier({ ...deps, webhooks, deliveries, sender }),
    auditFeed,
    callEvents,
    callFeed: createCallFeed({ ...deps, events, webhooks, fanOut }),

    /** What is kept no longer, and what deleted webhooks have left. */
    async trim(rowsMax: number, isStopping: () => boolean): Promise<{ rows: number; hasMore: boolean }> {
      let rows = await deliveries.removeOlder(clock.nowMs() - KEPT_MS, rowsMax);
      while (rows < rowsMax && !isStopping()) {
        const removal = await deliveries.nextRemoval();
        if (removal === undefined) return { rows, hasMore: false };
        rows += await deliveries.removeOf(removal, rowsMax);
      }
      return { rows, hasMore: true };
    },
  };
}
