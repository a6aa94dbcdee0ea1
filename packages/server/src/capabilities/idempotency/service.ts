import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import { type IdSource, modeOf, type Scope, type TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Principal } from '../../kernel/principal.js';
import { KEY_BYTES, lengthPrefixed } from '../../platform/crypto/authenticated-cipher.js';
import type { EnvelopePlace } from '../../platform/crypto/envelope-cipher.js';
import { equalInConstantTime, sha256Hex } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import { errorAnswer, toAppError } from '../../platform/http/error-handler.js';
import type { Answer, Idempotency, KeyedAct, KeyedCall } from '../../platform/http/idempotency.js';
import type { Logger } from '../../platform/log/logger.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import type { TenantKeys } from '../kms/index.js';
import { KEY_ENVELOPE } from './envelope-columns.js';
import { otherRequest, stillRunning } from './errors.js';
import { openBody, PendingCall, type PendingDeps, requestHash } from './pending-call.js';
import { type Claim, createIdempotencyStore, type FoundRecord, type RecordHead } from './store.js';
import { RECORDS } from './tables.js';

export interface IdempotencyDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly logger: Pick<Logger, 'error'>;
}

export interface IdempotencyRecords extends Idempotency {
  /** One batch of all tenants; returns how many records there were. */
  deleteExpired(recordsMax: number): Promise<number>;
}

/** A try that died is taken over this long after its last sign of life, well within a duplicate's wait. */
const LEASE_MS = 15_000;
const RENEW_MS = 5_000;
/** As long as a whole request may take to arrive; what still runs then is left to whoever tries again. */
const RENEWALS_MAX = 60;
const FIRST_PAUSE_MS = 25;
const PAUSE_MAX_MS = 500;

/** A call with its record. */
interface Keyed {
  readonly call: KeyedCall;
  readonly act: KeyedAct;
  readonly scope: Scope;
  readonly id: string;
}

export function createIdempotency(deps: IdempotencyDeps): IdempotencyRecords {
  const { db, clock, ids, random, tenantKeys, logger } = deps;
  const store = createIdempotencyStore(db);
  const pendingDeps: PendingDeps = { store, random };
  let waiting = 0;
  const waitingOf = new Map<TenantId, number>();
  const nextReadings = new Map<string, Promise<FoundRecord>>();

  /** Undefined where the record has a claim already. */
  async function claim({ call, act, scope, id }: Keyed): Promise<PendingCall | undefined> {
    const dataKey = random.bytes(KEY_BYTES);
    const nowMs = clock.nowMs();
    const claimed: Claim = {
      id,
      keyEnvelope: await tenantKeys.seal(placeOf(scope, id), dataKey),
      requestHash: requestHash(dataKey, call),
      expiresAtMs: nowMs + LIMITS.idempotencyRetentionMs,
      owner: ids.uuid(),
      leaseUntilMs: nowMs + LEASE_MS,
      intentId: null,
    };
    try {
      await db.commitInserts([store.claimInsertion(scope, claimed)]);
    } catch (error) {
      dataKey.fill(0);
      if (isTaken(error)) return undefined;
      throw error;
    }
    return new PendingCall(pendingDeps, scope, claimed, dataKey, act);
  }

  /** Whose turn it is: this call's, or an answer stands, or undefined: the first call is still running. */
  async function look(keyed: Keyed, found: FoundRecord): Promise<PendingCall | Answer | undefined> {
    const { act, scope, id } = keyed;
    const { claim: claimed, answer } = found;
    const known = answer ?? claimed;
    if (!known) return claim(keyed);
    if (known.expiresAtMs <= clock.nowMs()) {
      await store.deleteIfExpired(scope, id, clock.nowMs());
      return claim(keyed);
    }
    const dataKey = await openKey(keyed, known);
    if (answer) {
      const body = openBody(dataKey, scope, answer);
      dataKey.fill(0);
      return { status: answer.status, body, requestId: answer.requestId, isReplay: true };
    }
    const taken = claimed && (await takeOver(scope, claimed));
    if (taken) return new PendingCall(pendingDeps, scope, taken, dataKey, act);
    dataKey.fill(0);
    return undefined;
  }

  /** The record's key, when the call is the one that the record is of. */
  async function openKey({ call, scope, id }: Keyed, record: RecordHead): Promise<Buffer> {
    const dataKey = await tenantKeys.open(placeOf(scope, id), record.keyEnvelope);
    if (equalInConstantTime(requestHash(dataKey, call), record.requestHash)) return dataKey;
    dataKey.fill(0);
    throw otherRequest();
  }

  async function takeOver(scope: Scope, from: Claim): Promise<Claim | undefined> {
    const nowMs = clock.nowMs();
    if (from.leaseUntilMs > nowMs) return undefined;
    const to = { ...from, owner: ids.uuid(), leaseUntilMs: nowMs + LEASE_MS };
    return (await store.takeOver(scope, from, to)) ? to : undefined;
  }

  /** One for all who wait for a record: it joins the next that is due, however soon this caller would have looked. */
  function nextReading({ scope, id }: Keyed, pauseMs: number): Promise<FoundRecord> {
    const known = nextReadings.get(id);
    if (known) return known;
    const reading = new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve)).then(() => {
      nextReadings.delete(id);
      return store.find(scope, id);
    });
    nextReadings.set(id, reading);
    return reading;
  }

  /** The contract bounds the wait, a count the crowd. */
  async function waitForTurn(keyed: Keyed): Promise<PendingCall | Answer> {
    const { tenantId } = keyed.scope;
    const ofTenant = waitingOf.get(tenantId) ?? 0;
    if (waiting >= LIMITS.idempotencyWaitersMax) throw stillRunning(`${waiting} calls wait for others`);
    // One tenant's repeats must leave room for the others'.
    if (ofTenant >= LIMITS.idempotencyWaitersPerTenantMax)
      throw stillRunning(`${ofTenant} calls of this tenant wait for others`);
    const giveUpMs = clock.monotonicMs() + LIMITS.idempotencyWaitMs;
    waiting += 1;
    waitingOf.set(tenantId, ofTenant + 1);
    try {
      let found = await store.find(keyed.scope, keyed.id);
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
        const turn = await look(keyed, found);
        if (turn) return turn;
        if (clock.monotonicMs() >= giveUpMs)
          throw stillRunning(`waited ${LIMITS.idempotencyWaitMs} ms for the first call`);
        found = await nextReading(keyed, pauseMs);
      }
    } finally {
      waiting -= 1;
      const left = (waitingOf.get(tenantId) ?? 1) - 1;
      if (left === 0) waitingOf.delete(tenantId);
      else waitingOf.set(tenantId, left);
    }
  }

  /** Undefined when another try committed its answer first: nothing of this one stands. */
  async function run(keyed: Keyed, pending: PendingCall): Promise<Answer | undefined> {
    const { caller, audit } = keyed.call;
    const stopRenewing = keepLease(keyed, pending.owner);
    try {
      const result = await keyed.act.run({ ...caller, idempotency: pending });
      if (pending.isRecorded) return pending.answer;
      if (pending.isRepeatable) {
        await release(keyed, pending);
        return pending.answer;
      }
      const rows = pending.insertions(result);
      if (audit !== null) logger.error({ request_id: caller.requestId, audit }, CHANGE_WITHOUT_ANSWER);
      // What changes nothing may as well be done again; a large answer is not worth a day's room.
      else if (pending.answer.body.length > LIMITS.idempotencyReadAnswerCharactersMax) {
        await release(keyed, pending);
        return pending.answer;
      }
      await db.commitInserts(rows);
      return pending.answer;
    } catch (error) {
      if (isTaken(error) || !(await keepRefusal(keyed, pending, error))) return undefined;
      throw error;
    } finally {
      stopRenewing();
      pending.close();
    }
  }

  /** Where this fails the lease will end: the caller is told how the call went, and not of this. */
  async function release({ scope, id }: Keyed, { owner }: PendingCall): Promise<void> {
    await store.release(scope, id, owner, clock.nowMs()).catch(() => {});
  }

  /** False when another try committed its answer first. */
  async function keepRefusal(keyed: Keyed, pending: PendingCall, cause: unknown): Promise<boolean> {
    const { requestId } = keyed.call.caller;
    const error = toAppError(cause);
    if (!isKept(error.status)) {
      await release(keyed, pending);
      return true;
    }
    const { status, body } = errorAnswer(error, requestId);
    try {
      await db.commitInserts([pending.insertion({ status, body, requestId, isReplay: false }, body)]);
      return true;
    } catch (failure) {
      if (isTaken(failure)) return false;
      throw failure;
    }
  }

  /** While the call runs its claim is not to be taken over; the returned function ends that. */
  function keepLease({ scope, id }: Keyed, owner: string): () => void {
    let cancel = () => {};
    let left = RENEWALS_MAX;
    const renewLater = () => {
      cancel = clock.setTimer(RENEW_MS, () => {
        left -= 1;
        // A renewal that fails is made up for by the next; what ends a lost one is the key of the answers.
        void store.renew(scope, id, owner, clock.nowMs() + LEASE_MS).catch(() => {});
        if (left > 0) renewLater();
      });
    };
    renewLater();
    return () => cancel();
  }

  return {
    async answer(call, act) {
      const keyed = { call, act, scope: call.caller.principal.scope, id: recordId(call) };
      let turn: PendingCall | Answer;
      try {
        turn = (await claim(keyed)) ?? (await waitForTurn(keyed));
      } catch (error) {
        if (!call.worksSealed || !isAppError(error, 'tenant_sealed')) throw error;
        return act.answerTo(await act.run(call.caller)).answer;
      }
      while (turn instanceof PendingCall) {
        const answer = await run(keyed, turn);
        if (answer) return answer;
        turn = await waitForTurn(keyed);
      }
      return turn;
    },

    deleteExpired: (recordsMax) => store.deleteExpired(clock.nowMs(), recordsMax),
  };
}

/** Never seen but where a service forgot `recordAnswer`; a test over all routes looks for it. */
export const CHANGE_WITHOUT_ANSWER = 'a change was committed without its answer';

/** auth.md §5: who repeats these asks for another outcome. */
function isKept(status: number): boolean {
  return status < 500 && status !== 401 && status !== 408 && status !== 429;
}

function isTaken(error: unknown): boolean {
  return error instanceof UniqueViolation && error.table === RECORDS;
}

/** Kept for each credential by itself: one learns nothing of what another has asked for. */
function recordId({ caller: { principal }, method, path, key }: KeyedCall): string {
  const { tenantId } = principal.scope;
  const parts = [tenantId, modeOf(principal.scope), credentialOf(principal), method, path, key];
  return sha256Hex(lengthPrefixed(parts));
}

function credentialOf(principal: Principal): string {
  if (principal.kind === 'user') return `user:${principal.userId}`;
  if (principal.kind === 'api_key') return `api_key:${principal.apiKeyId}`;
  if (principal.kind === 'client') return `client:${principal.clientId}`;
  if (principal.kind === 'wrap_token') return `wrap_token:${principal.wrapTokenId}`;
  if (principal.kind === 'inbound_webhook') return `inbound_webhook:${principal.inboundWebhookId}`;
  // The source, not the token: a retry may come with the next one. One of less scope gets no answer of one of more.
  const { apiKeyId, oauthClientId, userId, bindingId, grants } = principal;
  const ids = [apiKeyId, oauthClientId, userId, bindingId].map((id) => id ?? '');
  const held = grants.map(({ permission, resource }) => `${permission} ${resource ?? ''}`).sort();
  return `oauth:${[...ids, ...held].join(':')}`;
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = KEY_ENVELOPE;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
