import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Egress } from '../../platform/egress/egress.js';
import type { Database } from '../../platform/storage/database.js';
import type { Accounts } from '../accounts/index.js';
import type { ApiLogs } from '../api-logs/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { WebhookSigner } from '../crypto-keys/index.js';
import type { EgressAllowlist } from '../egress-allowlist/index.js';
import { createTargetCheck } from '../egress-allowlist/index.js';
import type { TenantKeys } from '../kms/index.js';
import { createInboundEntry } from './entry.js';
import { createForward, type ForwardDeps } from './forward.js';
import { createSealedSecrets } from './sealed-secret.js';
import { createInboundWebhookRecords } from './service.js';
import { createInboundWebhookStore } from './store.js';

export interface InboundWebhooksDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly accounts: Pick<Accounts, 'tenantBySlug'>;
  readonly apiLogs: Pick<ApiLogs, 'assertRoom' | 'append'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly signer: Pick<WebhookSigner, 'check' | 'signatures'>;
  readonly egress: Pick<Egress, 'parse' | 'judge' | 'startClock' | 'stream'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly areHttpWebhooksAllowed: boolean;
}

export type InboundWebhooks = ReturnType<typeof createInboundWebhooks>;

export function createInboundWebhooks(deps: InboundWebhooksDeps) {
  const { clock, areHttpWebhooksAllowed: mayBePlain } = deps;
  const store = createInboundWebhookStore(deps.db);
  const sealed = createSealedSecrets(deps.tenantKeys);
  return {
    records: createInboundWebhookRecords({
      ...deps,
      store,
      sealed,
      targets: createTargetCheck({ ...deps, mayBePlain }),
    }),

    /** What an installation knows of itself only once it has begun. */
    entry: (installation: Pick<ForwardDeps, 'hopMarker' | 'certificateHeader'>) =>
      createInboundEntry({
        ...deps,
        store,
        sealed,
        forward: createForward({ ...deps, mayBePlain, ...installation }),
      }),

    removeExpired: (rowsMax: number) => store.removeExpired(clock.nowMs(), rowsMax),
  };
}
