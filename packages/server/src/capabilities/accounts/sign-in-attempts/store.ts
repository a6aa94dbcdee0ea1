import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface AttemptWindow {
  readonly attempts: number;
  readonly expiresAtMs: number;
}

export interface AttemptRule {
  /** So many in a window; the last of them begins the window anew. */
  readonly max: number;
  readonly windowMs: number;
}

export function createSignInAttemptStore(db: Database) {
  const view = db.view(accountsTables);

  return {
    /** As it is now; null where no window runs. */
    async read(subject: Buffer, nowMs: number): Promise<AttemptWindow | null> {
      const row = await view
        .system('people')
        .selectFrom('sign_in_attempts')
        .select(['attempts', 'expires_at'])
        .where('subject_hash', '=', subject)
        .where('expires_at', '>', nowMs)
        .executeTakeFirst();
      return row ? { attempts: row.attempts, expiresAtMs: row.expires_at } : null;
    },

    /** Counts one and tells the count, in one statement: those who come at once are counted one after the other. */
    async count(tx: Transaction, subject: Buffer, rule: AttemptRule, nowMs: number): Promise<AttemptWindow> {
      const endsAtMs = nowMs + rule.windowMs;
      const row = await view
        .system('people', tx)
        .insertInto('sign_in_attempts')
        .values({ subject_hash: subject, attempts: 1, expires_at: endsAtMs })
        .onConflict((conflict) =>
          conflict.column('subject_hash').doUpdateSet((eb) => {
            const isOver = eb('sign_in_attempts.expires_at', '<=', nowMs);
            const isLast = eb('sign_in_attempts.attempts', '=', rule.max - 1);
            return {
              attempts: eb
                .case()
                .when(isOver)
                .then(1)
                .else(eb('sign_in_attempts.attempts', '+', 1))
                .end(),
              expires_at: eb
                .case()
                .when(eb.or([isOver, isLast]))
                .then(endsAtMs)
                .else(eb.ref('sign_in_attempts.expires_at'))
                .end(),
            };
          }),
        )
        .returning(['attempts', 'expires_at'])
        .executeTakeFirstOrThrow();
      return { attempts: row.attempts, expiresAtMs: row.expires_at };
    },

    async forget(tx: Transaction, subject: Buffer): Promise<void> {
      await view
        .system('people', tx)
        .deleteFrom('sign_in_attempts')
        .where('subject_hash', '=', subject)
        .execute();
    },

    /** Takes back one that turned out well. */
    async discount(tx: Transaction, subject: Buffer): Promise<void> {
      await view
        .system('people', tx)
        .updateTable('sign_in_attempts')
        .set((row) => ({ attempts: row('attempts', '-', 1) }))
        .where('subject_hash', '=', subject)
        .where('attempts', '>', 0)
        .execute();
    },

    async removeEnded(tx: Transaction, nowMs: number, rowsMax: number): Promise<number> {
      const queries = view.system('retention', tx);
      const ended = await queries
        .selectFrom('sign_in_attempts')
        .select('subject_hash')
        .where('expires_at', '<=', nowMs)
        .orderBy('expires_at')
        .limit(rowsMax)
        .execute();
      const subjects = ended.map(({ subject_hash }) => subject_hash);
      // Asked again, since a new window may have begun meanwhile.
      if (subjects.length > 0)
        await queries
          .deleteFrom('sign_in_attempts')
          .where('subject_hash', 'in', subjects)
          .where('expires_at', '<=', nowMs)
          .execute();
      return subjects.length;
    },
  };
}
