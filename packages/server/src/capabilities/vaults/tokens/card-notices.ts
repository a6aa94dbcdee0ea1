import type { Clock } from '../../../kernel/clock.js';
import { batchReport, type JobContext, type JobReport } from '../../../platform/jobs/definition.js';
import type { Outbox } from '../../../platform/outbox/outbox.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { noticeAt } from './card-expiry.js';
import type { DueNotice, NoticeStore } from './notice-store.js';

/** README.md §11 of the contract. */
const EVENT = 'vault.token.expiring';

export interface CardNotices {
  /** Tells of cards that end in 60 and in 30 days, each once. */
  tellOfCards(context: Pick<JobContext, 'batchMax' | 'fence'>): Promise<JobReport>;
}

export interface CardNoticesDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly outbox: Pick<Outbox, 'publish'>;
  readonly store: NoticeStore;
}

export function createCardNotices({ db, clock, outbox, store }: CardNoticesDeps): CardNotices {
  async function tellOf(tx: Transaction, due: DueNotice, nowMs: number): Promise<void> {
    if (due.expiresAtMs !== null && due.expiresAtMs <= nowMs) return store.setNext(tx, due, null);
    const { daysBefore, nextAtMs } = noticeAt(due.cardExpiresOn, due.noticeAtMs);
    await outbox.publish(tx, {
      scope: due.scope,
      type: EVENT,
      // The notices of one token stay in order.
      key: due.tokenId,
      // Neither value nor token: a card's token shows its first and last digits.
      payload: {
        vault_id: due.vaultId,
        vault_name: due.vaultName,
        token_id: due.tokenId,
        card_expires_on: due.cardExpiresOn,
        days_before: daysBefore,
      },
    });
    await store.setNext(tx, due, nextAtMs);
  }

  return {
    // Event and mark commit together: a process that dies leaves both or neither.
    tellOfCards({ batchMax, fence }) {
      return db.transaction(async (tx) => {
        await fence(tx);
        const nowMs = clock.nowMs();
        const due = await store.due(tx, nowMs, batchMax);
        for (const one of due) await tellOf(tx, one, nowMs);
        return batchReport(due.length, due.length === batchMax);
      });
    },
  };
}
