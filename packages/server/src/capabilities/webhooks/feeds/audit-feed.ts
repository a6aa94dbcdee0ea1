import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { JobContext, JobReport } from '../../../platform/jobs/definition.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { AuditChain, SealedAuditRow } from '../../audit-logs/index.js';
import type { FanOut, Wanted } from '../deliveries/fan-out.js';
import { AUDIT_EVENT } from '../event-types.js';
import type { Webhook, WebhookStore } from '../store.js';
import type { AuditMarkStore } from './marks.js';

/** Makes deliveries of audit rows, from the sealed chains: their numbers have no gap, so that a mark tells what is new. */
export interface AuditFeed {
  run(context: Pick<JobContext, 'batchMax' | 'fence' | 'isStopping' | 'signal'>): Promise<JobReport>;
  /** A row is being written, of whatever tenant: costs nothing where no webhook wants any. */
  onWrite(): void;
  /** A webhook may want rows from now on. */
  expect(): void;
}

export interface AuditFeedDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditChain: Pick<AuditChain, 'heads' | 'rowsAfter'>;
  readonly webhooks: WebhookStore;
  readonly marks: AuditMarkStore;
  readonly fanOut: FanOut;
  wake(): void;
}

const MARKS_A_LOOK = 500;

export function createAuditFeed(deps: AuditFeedDeps): AuditFeed {
  const { db, clock, auditChain, webhooks, marks, fanOut, wake } = deps;
  let mayBeWanted = true;

  async function wantedOf(tx: Transaction, tenantId: TenantId): Promise<Webhook[]> {
    const found: Webhook[] = [];
    for (const sandbox of [false, true])
      found.push(...(await webhooks.listEnabled({ tenantId, sandbox }, tx)));
    return found.filter(({ eventTypes }) => eventTypes.includes(AUDIT_EVENT));
  }

  /** Up to one batch behind `after`; `last` is how far it was read. */
  async function follow(
    tenantId: TenantId,
    after: number,
    { batchMax, fence }: Pick<JobContext, 'batchMax' | 'fence'>,
  ): Promise<{ readonly rows: number; readonly last: number }> {
    const rows = await auditChain.rowsAfter(tenantId, after, batchMax);
    const last = rows.at(-1)?.sequenceNumber ?? after;
    await db.transaction(async (tx) => {
      await fence(tx);
      const interested = await wantedOf(tx, tenantId);
      if (interested.length === 0) return marks.remove(tx, tenantId);
      for (const sandbox of [false, true]) {
        const wanted = interested
          .filter(({ scope }) => scope.sandbox === sandbox)
          .flatMap((webhook) =>
            rows.filter((row) => isFor(webhook, row)).map((row) => eventOf(webhook, row)),
          );
        if (wanted.length > 0) await fanOut.deliver(tx, { tenantId, sandbox }, wanted, clock.nowMs());
      }
      if (last > after) await marks.set(tx, { tenantId, sequenceNumber: last });
    });
    return { rows: rows.length, last };
  }

  return {
    onWrite() {
      if (mayBeWanted) wake();
    },
    expect() {
      mayBeWanted = true;
    },
    async run(context) {
      const mayGoOn = () => !context.isStopping() && !context.signal.aborted;
      let rows = 0;
      let seen = 0;
      let hasMore = false;
      for (let after = ''; mayGoOn(); ) {
        const some = await marks.list(after, MARKS_A_LOOK);
        seen += some.length;
        const heads = await auditChain.heads(some.map(({ tenantId }) => tenantId));
        for (const { tenantId, sequenceNumber } of some) {
          after = tenantId;
          if ((heads.get(tenantId) ?? 0) <= sequenceNumber || !mayGoOn()) continue;
          // One batch of each, so that a busy tenant keeps no other waiting.
          const read = await follow(tenantId, sequenceNumber, context);
          rows += read.rows;
          hasMore ||= read.last < (heads.get(tenantId) ?? 0);
        }
        if (some.length < MARKS_A_LOOK) break;
      }
      if (mayGoOn()) mayBeWanted = seen > 0;
      return hasMore || !mayGoOn() ? { rows, againInMs: 0 } : { rows };
    },
  };
}

/** Of its mode, and none that was written before it was made. */
function isFor(webhook: Webhook, row: SealedAuditRow): boolean {
  return (
    (row.details['sandbox'] === true) === webhook.scope.sandbox && row.createdAtMs >= webhook.createdAtMs
  );
}

/** dataplane.md §11.2. Who made it so that it comes may not have been one who reads details (auth.md §8.1). */
function eventOf(webhook: Webhook, row: SealedAuditRow): Wanted {
  const data = {
    id: row.id,
    action: row.action,
    resource_type: row.resourceType,
    resource_id: row.resourceId,
    details: webhook.showsDetails ? row.details : {},
    ...(!webhook.showsDetails && { details_redacted: true }),
    ip_address: row.ipAddress,
  };
  return {
    webhook,
    eventId: row.id,
    type: AUDIT_EVENT,
    data: JSON.stringify(data),
    occurredAtMs: row.createdAtMs,
  };
}
