import type { Scope } from '../../kernel/ids.js';
import type { Database, Insertion, Transaction } from '../../platform/storage/database.js';
import { idempotencyTables, RECORDS } from './tables.js';

/** What both rows of a record have. */
export interface RecordHead {
  readonly id: string;
  readonly keyEnvelope: Buffer;
  readonly requestHash: Buffer;
  readonly expiresAtMs: number;
}

export interface Claim extends RecordHead {
  readonly owner: string;
  readonly leaseUntilMs: number;
  readonly intentId: string | null;
}

export interface StoredAnswer extends RecordHead {
  readonly status: number;
  readonly sealedBody: Buffer;
  readonly requestId: string;
}

/** `claim` is absent where another try gave it up and this answer was committed all the same. */
export interface FoundRecord {
  readonly claim: Claim | undefined;
  readonly answer: StoredAnswer | undefined;
}

interface Columns {
  id: string;
  part: 'claim' | 'answer';
  key_envelope: Buffer;
  request_hash: Buffer;
  expires_at: number;
  owner: string;
  lease_until: number;
  intent_id: string | null;
  status: number;
  answer: Buffer;
  request_id: string;
}

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

export function createIdempotencyStore(db: Database) {
  const view = db.view(idempotencyTables);

  const byId = view.define<{ id: string }, Columns>('idempotency_record', (queries, arg) =>
    queries
      .selectFrom(RECORDS)
      .select([
        'id',
        'part',
        'key_envelope',
        'request_hash',
        'expires_at',
        'owner',
        'lease_until',
        'intent_id',
        'status',
        'answer',
        'request_id',
      ])
      .where('id', '=', arg('id'))
      // The checks of the table say which of them are null in which part.
      .$castTo<Columns>(),
  );

  function claimsOf(scope: Scope, id: string, owner: string, tx?: Transaction) {
    return view
      .scoped(scope, tx)
      .updateTable(RECORDS)
      .where('id', '=', id)
      .where('part', '=', 'claim')
      .where('owner', '=', owner);
  }

  return {
    /** Refused by the primary key where the record has a claim. */
    claimInsertion(scope: Scope, claim: Claim): Insertion {
      return view.insertion(RECORDS, scope, {
        ...headColumns(claim),
        part: 'claim',
        owner: claim.owner,
        lease_until: claim.leaseUntilMs,
      });
    },

    /** Refused by the primary key where the record has an answer: of two tries one commits. */
    answerInsertion(scope: Scope, answer: StoredAnswer): Insertion {
      return view.insertion(RECORDS, scope, answerColumns(answer));
    },

    async insertAnswer(tx: Transaction, scope: Scope, answer: StoredAnswer): Promise<void> {
      await view.scoped(scope, tx).insertInto(RECORDS).values(answerColumns(answer)).execute();
    },

    async find(scope: Scope, id: string): Promise<FoundRecord> {
      const rows = await byId.all(scope, { id });
      const claim = rows.find((row) => row.part === 'claim');
      const answer = rows.find((row) => row.part === 'answer');
      return {
        claim: claim && {
          ...headOf(claim),
          owner: claim.owner,
          leaseUntilMs: claim.lease_until,
          intentId: claim.intent_id,
        },
        answer: answer && {
          ...headOf(answer),
          status: answer.status,
          sealedBody: answer.answer,
          requestId: answer.request_id,
        },
      };
    },

    /** False when its owner has renewed the lease meanwhile, or another try was first. */
    async takeOver(scope: Scope, from: Claim, to: Claim): Promise<boolean> {
      const rows = await claimsOf(scope, from.id, from.owner)
        .where('lease_until', '=', from.leaseUntilMs)
        .set({ owner: to.owner, lease_until: to.leaseUntilMs })
        .returning('id')
        .execute();
      return rows.length > 0;
    },

    async renew(scope: Scope, id: string, owner: string, leaseUntilMs: number): Promise<void> {
      await claimsOf(scope, id, owner).set({ lease_until: leaseUntilMs }).execute();
    },

    /** False when the claim is another's by now. */
    async setIntent(
      tx: Transaction,
      scope: Scope,
      id: string,
      owner: string,
      intentId: string | null,
    ): Promise<boolean> {
      const rows = await claimsOf(scope, id, owner, tx)
        .set({ intent_id: intentId })
        .returning('id')
        .execute();
      return rows.length > 0;
    },

    /** A claim with an intent stays, for the next try to finish or undo it; any other goes. */
    async release(scope: Scope, id: string, owner: string, nowMs: number): Promise<void> {
      await claimsOf(scope, id, owner)
        .where('intent_id', 'is not', null)
        .set({ lease_until: nowMs })
        .execute();
      await view
        .scoped(scope)
        .deleteFrom(RECORDS)
        .where('id', '=', id)
        .where('part', '=', 'claim')
        .where('owner', '=', owner)
        .where('intent_id', 'is', null)
        .execute();
    },

    async deleteIfExpired(scope: Scope, id: string, nowMs: number): Promise<void> {
      await view
        .scoped(scope)
        .deleteFrom(RECORDS)
        .where('id', '=', id)
        .where('expires_at', '<=', nowMs)
        .execute();
    },

    /** At most `recordsMax` records of all tenants, both rows of each; returns how many there were. */
    async deleteExpired(nowMs: number, recordsMax: number): Promise<number> {
      const queries = view.system('retention');
      const rows = await queries
        .selectFrom(RECORDS)
        .select('id')
        .distinct()
        .where('expires_at', '<=', nowMs)
        .limit(recordsMax)
        .execute();
      if (rows.length === 0) return 0;
      const ids = rows.map((row) => row.id);
      // Asked again: the key may have been used anew since.
      await queries.deleteFrom(RECORDS).where('id', 'in', ids).where('expires_at', '<=', nowMs).execute();
      return ids.length;
    },
  };
}

function headColumns(head: RecordHead) {
  return {
    id: head.id,
    key_envelope: head.keyEnvelope,
    request_hash: head.requestHash,
    expires_at: head.expiresAtMs,
  };
}

function answerColumns(answer: StoredAnswer) {
  return {
    ...headColumns(answer),
    part: 'answer' as const,
    status: answer.status,
    answer: answer.sealedBody,
    request_id: answer.requestId,
  };
}

function headOf(row: Columns): RecordHead {
  return {
    id: row.id,
    keyEnvelope: row.key_envelope,
    requestHash: row.request_hash,
    expiresAtMs: row.expires_at,
  };
}
