import type { UserId } from '../../../kernel/ids.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { accountsTables } from '../tables.js';

export interface TotpFactor {
  readonly userId: UserId;
  readonly wrappedSecret: Buffer;
  readonly createdAtMs: number;
  readonly confirmedAtMs: number | null;
  readonly lastStep: number;
}

/** What a user has; of codes how many are left. */
export interface Enrolled {
  readonly totpSinceMs: number | null;
  readonly passkeys: number;
  readonly recoveryCodes: number;
}

export function createFactorStore(db: Database) {
  const view = db.view(accountsTables);
  const people = (tx?: Transaction) => view.system('people', tx);

  return {
    async enrolled(userId: UserId, tx?: Transaction): Promise<Enrolled> {
      const queries = people(tx);
      const counted = await queries
        .selectFrom('users as u')
        .leftJoin('totp_factors as t', 't.user_id', 'u.id')
        .select((row) => [
          't.confirmed_at',
          row
            .selectFrom('passkeys as p')
            .select((one) => one.fn.countAll<number>().as('n'))
            .whereRef('p.user_id', '=', 'u.id')
            .as('passkeys'),
          row
            .selectFrom('recovery_codes as r')
            .select((one) => one.fn.countAll<number>().as('n'))
            .whereRef('r.user_id', '=', 'u.id')
            .as('codes'),
        ])
        .where('u.id', '=', userId)
        .executeTakeFirst();
      return {
        totpSinceMs: counted?.confirmed_at ?? null,
        passkeys: Number(counted?.passkeys ?? 0),
        recoveryCodes: Number(counted?.codes ?? 0),
      };
    },

    async findTotp(userId: UserId): Promise<TotpFactor | undefined> {
      const row = await people()
        .selectFrom('totp_factors')
        .selectAll()
        .where('user_id', '=', userId)
        .executeTakeFirst();
      return row && totpOf(row);
    },

    /** In place of one that was never confirmed; false where there is one that was. */
    async putTotp(tx: Transaction, userId: UserId, wrapped: Buffer, nowMs: number): Promise<boolean> {
      const row = await people(tx)
        .insertInto('totp_factors')
        .values({
          user_id: userId,
          wrapped_secret: wrapped,
          created_at: nowMs,
          confirmed_at: null,
          last_step: 0,
        })
        .onConflict((conflict) =>
          conflict
            .column('user_id')
            .doUpdateSet({ wrapped_secret: wrapped, created_at: nowMs })
            .where('totp_factors.confirmed_at', 'is', null),
        )
        .returning('user_id')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** False where it is another by now, or confirmed already. */
    async confirmTotp(tx: Transaction, factor: TotpFactor, step: number, nowMs: number): Promise<boolean> {
      const row = await people(tx)
        .updateTable('totp_factors')
        .set({ confirmed_at: nowMs, last_step: step })
        .where('user_id', '=', factor.userId)
        .where('wrapped_secret', '=', factor.wrappedSecret)
        .where('confirmed_at', 'is', null)
        .returning('user_id')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** False where that step, or one after it, was used. */
    async useTotpStep(tx: Transaction, userId: UserId, step: number): Promise<boolean> {
      const row = await people(tx)
        .updateTable('totp_factors')
        .set({ last_step: step })
        .where('user_id', '=', userId)
        .where('last_step', '<', step)
        .where('confirmed_at', 'is not', null)
        .returning('user_id')
        .executeTakeFirst();
      return row !== undefined;
    },

    async removeTotp(tx: Transaction, userId: UserId): Promise<boolean> {
      const row = await people(tx)
        .deleteFrom('totp_factors')
        .where('user_id', '=', userId)
        .returning('confirmed_at')
        .executeTakeFirst();
      return row?.confirmed_at != null;
    },

    async listTotpAfter(userId: string, rowsMax: number): Promise<TotpFactor[]> {
      const rows = await people()
        .selectFrom('totp_factors')
        .selectAll()
        .where('user_id', '>', userId as UserId)
        .orderBy('user_id')
        .limit(rowsMax)
        .execute();
      return rows.map(totpOf);
    },

    /** Nothing happens where it was changed meanwhile. */
    async rewrapTotp(tx: Transaction, { userId, wrappedSecret }: TotpFactor, wrapped: Buffer): Promise<void> {
      await people(tx)
        .updateTable('totp_factors')
        .set({ wrapped_secret: wrapped })
        .where('user_id', '=', userId)
        .where('wrapped_secret', '=', wrappedSecret)
        .execute();
    },

    async replaceRecoveryCodes(
      tx: Transaction,
      userId: UserId,
      hashes: readonly Buffer[],
      nowMs: number,
    ): Promise<void> {
      await people(tx).deleteFrom('recovery_codes').where('user_id', '=', userId).execute();
      if (hashes.length === 0) return;
      await people(tx)
        .insertInto('recovery_codes')
        .values(hashes.map((hash) => ({ user_id: userId, code_hash: hash, created_at: nowMs })))
        .execute();
    },

    async hasRecoveryCode(userId: UserId, hash: Buffer): Promise<boolean> {
      const row = await people()
        .selectFrom('recovery_codes')
        .select('created_at')
        .where('user_id', '=', userId)
        .where('code_hash', '=', hash)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** True for the one use that a code has. */
    async useRecoveryCode(tx: Transaction, userId: UserId, hash: Buffer): Promise<boolean> {
      const row = await people(tx)
        .deleteFrom('recovery_codes')
        .where('user_id', '=', userId)
        .where('code_hash', '=', hash)
        .returning('created_at')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Of who has lost all of them; how many passkeys and whether a code app. */
    async removeAll(tx: Transaction, userId: UserId): Promise<FactorsRemoved> {
      const hadTotp = await this.removeTotp(tx, userId);
      const passkeys = await people(tx)
        .deleteFrom('passkeys')
        .where('user_id', '=', userId)
        .returning('id')
        .execute();
      await this.replaceRecoveryCodes(tx, userId, [], 0);
      return { totp: hadTotp, passkeys: passkeys.length };
    },
  };
}

export interface FactorsRemoved {
  readonly totp: boolean;
  readonly passkeys: number;
}

function totpOf(row: {
  readonly user_id: UserId;
  readonly wrapped_secret: Buffer;
  readonly created_at: number;
  readonly confirmed_at: number | null;
  readonly last_step: number;
}): TotpFactor {
  return {
    userId: row.user_id,
    wrappedSecret: row.wrapped_secret,
    createdAtMs: row.created_at,
    confirmedAtMs: row.confirmed_at,
    lastStep: row.last_step,
  };
}
