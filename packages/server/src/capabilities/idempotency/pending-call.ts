import { assert } from '../../kernel/assert.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { deriveKey } from '../../platform/crypto/authenticated-cipher.js';
import { type DataContext, openData, sealData } from '../../platform/crypto/data-cipher.js';
import { hmacSha256, sha256 } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Answer, KeyedAct, KeyedCall, PendingRecord } from '../../platform/http/idempotency.js';
import type { Insertion, Transaction } from '../../platform/storage/database.js';
import { stillRunning } from './errors.js';
import type { Claim, IdempotencyStore, StoredAnswer } from './store.js';

export interface PendingDeps {
  readonly store: Pick<IdempotencyStore, 'answerInsertion' | 'insertAnswer' | 'setIntent'>;
  readonly random: Random;
}

/** A claim that is this process's, with the data key opened: an answer is sealed without asking a KMS. */
export class PendingCall implements PendingRecord {
  readonly scope: Scope;
  readonly #deps: PendingDeps;
  readonly #claim: Claim;
  readonly #dataKey: Buffer;
  readonly #act: KeyedAct;
  #answer: Answer | undefined;
  #isRecorded = false;
  #isRepeatable = false;

  constructor(deps: PendingDeps, scope: Scope, claim: Claim, dataKey: Buffer, act: KeyedAct) {
    this.scope = scope;
    this.#deps = deps;
    this.#claim = claim;
    this.#dataKey = dataKey;
    this.#act = act;
  }

  get id(): string {
    return this.#claim.id;
  }

  get owner(): string {
    return this.#claim.owner;
  }

  get intentId(): string | null {
    return this.#claim.intentId;
  }

  /** False also when the transaction that recorded it was rolled back. */
  get isRecorded(): boolean {
    return this.#isRecorded;
  }

  /** Done, and not recorded: whoever repeats the call has it done again. */
  get isRepeatable(): boolean {
    return this.#isRepeatable;
  }

  get answer(): Answer {
    assert(this.#answer, 'a call ended without an answer');
    return this.#answer;
  }

  async record(tx: Transaction, result: unknown): Promise<void> {
    await this.#deps.store.insertAnswer(tx, this.scope, this.#answerTo(result));
    tx.afterCommit(() => {
      this.#isRecorded = true;
    });
  }

  insertions(result: unknown): readonly Insertion[] {
    const stored = this.#answerTo(result);
    this.#isRecorded = true;
    return [this.#deps.store.answerInsertion(this.scope, stored)];
  }

  insertionsIfSmall(result: unknown): readonly Insertion[] {
    const { answer, kept } = this.#act.answerTo(result);
    this.#answer = answer;
    this.#isRepeatable = answer.body.length > LIMITS.idempotencyRepeatedAnswerCharactersMax;
    if (this.#isRepeatable) return [];
    this.#isRecorded = true;
    return [this.insertion(answer, kept)];
  }

  insertion(answer: Answer, kept: string): Insertion {
    return this.#deps.store.answerInsertion(this.scope, this.#sealed(answer, kept));
  }

  async setIntent(tx: Transaction, intentId: string | null): Promise<void> {
    const isOwn = await this.#deps.store.setIntent(tx, this.scope, this.id, this.owner, intentId);
    if (!isOwn) throw stillRunning('another try has taken the call over');
  }

  close(): void {
    this.#dataKey.fill(0);
  }

  #answerTo(result: unknown): StoredAnswer {
    const { answer, kept } = this.#act.answerTo(result);
    this.#answer = answer;
    return this.#sealed(answer, kept);
  }

  #sealed({ status, requestId }: Answer, kept: string): StoredAnswer {
    const { id, keyEnvelope, requestHash, expiresAtMs } = this.#claim;
    const context = contextOf(this.scope, id);
    const sealedBody = sealData(this.#deps.random, this.#dataKey, context, Buffer.from(kept, 'utf8'));
    return { id, keyEnvelope, requestHash, expiresAtMs, status, sealedBody, requestId };
  }
}

export function openBody(dataKey: Buffer, scope: Scope, answer: StoredAnswer): string {
  const plaintext = openData(dataKey, contextOf(scope, answer.id), answer.sealedBody);
  try {
    return plaintext.toString('utf8');
  } finally {
    plaintext.fill(0);
  }
}

const NO_SALT = Buffer.alloc(0);

export function requestHash(dataKey: Buffer, { query, body }: KeyedCall): Buffer {
  const hashKey = deriveKey(dataKey, NO_SALT, 'knox.idempotency.request');
  try {
    return hmacSha256(hashKey, sha256(query), body);
  } finally {
    hashKey.fill(0);
  }
}

function contextOf(scope: Scope, id: string): DataContext {
  return { purpose: 'idempotency', rowId: id, parts: [scope.tenantId, modeOf(scope), id] };
}
