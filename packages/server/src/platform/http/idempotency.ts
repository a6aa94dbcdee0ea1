import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller, CallRecord } from '../../kernel/principal.js';
import type { Insertion, Transaction } from '../storage/database.js';

/** A management call with an `X-Idempotency-Key` (auth.md §5). */
export interface KeyedCall {
  readonly caller: Caller;
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: Uint8Array;
  /** Audit actions that a success writes; null = it changes nothing. */
  readonly audit: string | null;
  /** Done without a record where the tenant's key, which seals the record, is not to be had. */
  readonly worksSealed: boolean;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** That of the call which was answered first. */
  readonly requestId: string;
  readonly isReplay: boolean;
}

/** What the call does, and how its result is written out. */
export interface KeyedAct {
  run(caller: Caller): Promise<unknown>;
  /** `kept` is the body without what no replay may show. Called inside transactions: it only computes. */
  answerTo(result: unknown): { readonly answer: Answer; readonly kept: string };
}

/** Implemented by the idempotency capability: the act, or the answer that an earlier try of the same call got. */
export interface Idempotency {
  answer(call: KeyedCall, act: KeyedAct): Promise<Answer>;
}

/** What a call's record takes up from the service that carries the call out. */
export interface PendingRecord extends CallRecord {
  record(tx: Transaction, result: unknown): Promise<void>;
  insertions(result: unknown): readonly Insertion[];
  /** None where the answer is large. */
  insertionsIfSmall(result: unknown): readonly Insertion[];
  setIntent(tx: Transaction, intentId: string | null): Promise<void>;
}

/**
 * Stores the answer to the call with the change it tells of, so that a crash leaves both or neither. Every service
 * calls it in the one transaction that finishes a change, with the result that it returns.
 */
export async function recordAnswer(tx: Transaction, caller: Caller, result: unknown): Promise<void> {
  await recordOf(caller)?.record(tx, result);
}

/** The same as rows of the group commit that makes the change. */
export function answerInsertions(caller: Caller, result: unknown): readonly Insertion[] {
  return recordOf(caller)?.insertions(result) ?? [];
}

/**
 * The same of an act that does no harm when it is done again: a large answer is not worth a day's room, so the retry does it
 * again.
 */
export function smallAnswerInsertions(caller: Caller, result: unknown): readonly Insertion[] {
  return recordOf(caller)?.insertionsIfSmall(result) ?? [];
}

/**
 * Before an effect outside (a database user, a certificate order): names, in the transaction that stores it, the row
 * that says what is about to be done. A try that takes over finds the name in `caller.idempotency.intentId`; null
 * says that what was begun is undone. Throws, so that nothing is begun, when another try has taken over already.
 */
export async function recordIntent(tx: Transaction, caller: Caller, intentId: string | null): Promise<void> {
  await recordOf(caller)?.setIntent(tx, intentId);
}

/** `Idempotency.answer` puts one of these there; for a token that is good for one act, who uses it up with the act. */
function recordOf(caller: Caller): PendingRecord | undefined {
  return caller.idempotency as PendingRecord | undefined;
}

const KEY_HEADER = 'x-idempotency-key';

/** Undefined where there is none, and on a GET, which repeats itself without harm. */
export function idempotencyKeyOf(
  method: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  const key = headers[KEY_HEADER];
  if (key === undefined || method === 'GET' || method === 'HEAD') return undefined;
  if (
    typeof key !== 'string' ||
    !/^[\x21-\x7e]+$/.test(key) ||
    key.length > LIMITS.idempotencyKeyCharactersMax
  ) {
    const rule = `must be 1 to ${LIMITS.idempotencyKeyCharactersMax} visible ASCII characters`;
    throw validationError('X-Idempotency-Key', rule);
  }
  return key;
}
