import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type PkiNoticeMarkRow, pkiTables } from '../tables.js';

export type NoticeKind = PkiNoticeMarkRow['subject_kind'];

/** The last one that was told of, in the order of ends. */
export interface NoticeMark {
  readonly notAfterMs: number;
  readonly id: string;
}

export function createNoticeStore(db: Database) {
  const view = db.view(pkiTables);
  return {
    async mark(kind: NoticeKind, daysBefore: number): Promise<NoticeMark | undefined> {
      const row = await view
        .system('certificate_notices')
        .selectFrom('pki_notice_marks')
        .select(['not_after', 'told_id'])
        .where('subject_kind', '=', kind)
        .where('days_before', '=', daysBefore)
        .executeTakeFirst();
      return row && { notAfterMs: row.not_after, id: row.told_id };
    },

    async setMark(tx: Transaction, kind: NoticeKind, daysBefore: number, mark: NoticeMark): Promise<void> {
      const { notAfterMs: not_after, id: told_id } = mark;
      await view
        .system('certificate_notices', tx)
        .insertInto('pki_notice_marks')
        .values({ subject_kind: kind, days_before: daysBefore, not_after, told_id })
        .onConflict((conflict) =>
          conflict.columns(['subject_kind', 'days_before']).doUpdateSet({ not_after, told_id }),
        )
        .execute();
    },
  };
}
