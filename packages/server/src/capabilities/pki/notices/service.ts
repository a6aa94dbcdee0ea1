import { type Clock, isoSeconds } from '../../../kernel/clock.js';
import { batchReport, type JobContext, type JobReport } from '../../../platform/jobs/definition.js';
import type { Outbox } from '../../../platform/outbox/outbox.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { Authorities, Ending } from '../../authorities/index.js';
import { DAY_MS, NOTICE_DAYS } from '../terms.js';
import { createNoticeStore, type NoticeKind, type NoticeMark } from './store.js';

/** README.md §11 of the contract. */
const EVENT = 'pki.certificate.expiring';
const KINDS: readonly NoticeKind[] = ['roots', 'certificates'];

/** Tells of roots and certificates 30, 7 and 1 days before they end, each once (clients-pki.md §3.6). */
export interface ExpiryNotices {
  tell(context: Pick<JobContext, 'batchMax' | 'fence'>): Promise<JobReport>;
}

export interface ExpiryNoticesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly authorities: Pick<Authorities, 'listEnding'>;
}

/**
 * One mark for each kind and number of days moves along the ends of certificates, and with the events of what it passes in one
 * transaction: what ends before it was told of, or began too late to be.
 */
export function createExpiryNotices({ db, clock, outbox, authorities }: ExpiryNoticesDeps): ExpiryNotices {
  const store = createNoticeStore(db);

  async function advance(
    kind: NoticeKind,
    daysBefore: number,
    { batchMax: rowsMax, fence }: Pick<JobContext, 'batchMax' | 'fence'>,
  ): Promise<number> {
    const nowMs = clock.nowMs();
    const untilMs = nowMs + daysBefore * DAY_MS;
    // What had begun to end when this was new is told of at once.
    const behind = (await store.mark(kind, daysBefore)) ?? { notAfterMs: nowMs, id: '' };
    const rows = await authorities.listEnding({ of: kind, afterMs: nowMs, untilMs, behind, rowsMax });
    const last = rows.at(-1);
    const next: NoticeMark =
      last && rows.length === rowsMax
        ? { notAfterMs: last.notAfterMs, id: last.id }
        : // All that end until then, in that millisecond too.
          { notAfterMs: Math.max(untilMs + 1, behind.notAfterMs), id: '' };
    await db.transaction(async (tx) => {
      await fence(tx);
      for (const ending of rows)
        if (isToldOf(kind, ending, daysBefore)) await publish(tx, kind, ending, daysBefore);
      await store.setMark(tx, kind, daysBefore, next);
    });
    return rows.length;
  }

  async function publish(tx: Transaction, kind: NoticeKind, ending: Ending, daysBefore: number) {
    const { id, scope } = ending;
    // The notices of one certificate stay in order.
    await outbox.publish(tx, { scope, type: EVENT, key: id, payload: payloadOf(kind, ending, daysBefore) });
  }

  return {
    async tell({ batchMax, fence }) {
      let rows = 0;
      let hasMore = false;
      for (const daysBefore of NOTICE_DAYS) {
        for (const kind of KINDS) {
          const told = await advance(kind, daysBefore, { batchMax, fence });
          rows += told;
          hasMore ||= told === batchMax;
        }
      }
      return batchReport(rows, hasMore);
    },
  };
}

/**
 * Roots and client certificates always. Others where they live twice as long as the notice is early, else every one would be told of
 * when it is made; and none that an ACME client renews by itself.
 */
function isToldOf(kind: NoticeKind, ending: Ending, daysBefore: number): boolean {
  if (kind === 'roots' || ending.clientId !== null) return true;
  const { acmeAccountId, notBeforeMs, notAfterMs } = ending;
  return acmeAccountId === null && notAfterMs - notBeforeMs >= 2 * daysBefore * DAY_MS;
}

function payloadOf(kind: NoticeKind, ending: Ending, daysBefore: number): Record<string, unknown> {
  const { id, role, clientId, rootId, rootName, subject, notAfterMs } = ending;
  return {
    kind: kind === 'roots' ? 'root' : clientId === null ? 'leaf' : 'client',
    root_id: rootId,
    root_name: rootName,
    ...(kind === 'certificates' && { serial_hex: id }),
    subject,
    not_after: isoSeconds(notAfterMs),
    days_before: daysBefore,
    ...(role && { role_id: role.id, role: role.name }),
    ...(clientId !== null && { client_id: clientId }),
  };
}
