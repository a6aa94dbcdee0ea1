import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Egress } from '../../platform/egress/egress.js';
import { createStatusCalls } from '../../platform/egress/status-calls.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Mailer } from '../../platform/mail/mail.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database } from '../../platform/storage/database.js';
import type { Accounts } from '../accounts/index.js';
import type { Analytics } from '../analytics/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { createTargetCheck } from '../egress-allowlist/index.js';
import type { TenantKeys } from '../kms/index.js';
import type { Plans } from '../plans/index.js';
import { createSealedCredentials } from './channels/sealed.js';
import { createChannelSender } from './channels/sender.js';
import { createTwilio, TWILIO_ORIGIN, type TwilioAccount } from './channels/sms.js';
import { createAlertDeliveries } from './deliveries.js';
import { createEvaluation } from './evaluation.js';
import { RETENTION_JOB } from './job-kinds.js';
import { createAlertRecords } from './service.js';
import { createAlertStore } from './store.js';

export interface AlertsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly jobs: Pick<Jobs, 'wake'>;
  readonly outbox: Pick<Outbox, 'listen' | 'publish'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly analytics: Pick<Analytics, 'countedToMs' | 'since'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly mailer: Pick<Mailer, 'deliver'>;
  /** Null = alerts have no SMS. */
  readonly sms: TwilioAccount | null;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly areHttpWebhooksAllowed: boolean;
}

const KEPT_MS = 90 * 24 * 3_600_000;

export type Alerts = ReturnType<typeof createAlerts>;

export function createAlerts(deps: AlertsDeps) {
  const { db, clock, egress, jobs, accounts, areHttpWebhooksAllowed: mayBePlain } = deps;
  const store = createAlertStore(db);
  const sealed = createSealedCredentials(deps.tenantKeys);
  const statusCall = createStatusCalls({ clock, egress });
  const sms = deps.sms && createTwilio({ account: deps.sms, statusCall, origin: TWILIO_ORIGIN });
  const sender = createChannelSender({
    ...deps,
    sms,
    statusCall,
    sealed,
    slugOf: async (tenantId) => (await accounts.tenantById(tenantId))?.slug,
    mayBePlain,
  });
  deps.outbox.listen(createAlertDeliveries({ clock, store, sender }));

  return {
    records: createAlertRecords({
      ...deps,
      store,
      sealed,
      sender,
      targets: createTargetCheck({ ...deps, mayBePlain }),
      hasSms: sms !== null,
      wake: () => jobs.wake(RETENTION_JOB),
    }),
    evaluation: createEvaluation({ ...deps, store }),

    /** What is kept no longer, and what deleted alerts have left; how many firings. */
    trim: (rowsMax: number) => store.trim(clock.nowMs() - KEPT_MS, rowsMax),
  };
}
