import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError, notFound, validationError } from '../../kernel/errors.js';
import type { ApiKeyId, RequestId, Scope, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller, CallRecord } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { createGenerations, migrations as generationMigrations } from '../../platform/cache/generations.js';
import { systemIds, systemRandom } from '../../platform/crypto/random.js';
import {
  type Answer,
  answerInsertions,
  type KeyedAct,
  type KeyedCall,
  recordAnswer,
  recordIntent,
} from '../../platform/http/idempotency.js';
import type { View } from '../../platform/storage/database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { ROOT_KEY_ONLY } from '../../testing/kms-settings.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from '../../testing/notes.js';
import { createKms, migrations as kmsMigrations } from '../kms/index.js';
import { envelopeColumns } from './envelope-columns.js';
import { CHANGE_WITHOUT_ANSWER, createIdempotency, type IdempotencyRecords } from './service.js';
import { idempotencyTables, migrations } from './tables.js';

const LIVE: Scope = { tenantId: 'tenant-a' as TenantId, sandbox: false };
const TENANTS = ['tenant-a', 'tenant-b'] as TenantId[];
const PAUSE_MS = 500;

/** A manual clock that knows whether somebody waits on it for a turn. */
function createPausingClock() {
  const manual = createManualClock();
  let pauses = 0;
  let begun = 0;
  return {
    ...manual,
    setTimer(delayMs: number, callback: () => void) {
      if (delayMs > PAUSE_MS) return manual.setTimer(delayMs, callback);
      pauses += 1;
      begun += 1;
      return manual.setTimer(delayMs, () => {
        pauses -= 1;
        callback();
      });
    },
    pauses: () => pauses,
    /** Pauses that were ever begun. */
    begun: () => begun,
  };
}

function callerOf(scope = LIVE, apiKeyId = 'key-1'): Caller {
  return {
    principal: {
      kind: 'api_key',
      scope,
      tenantSlug: 'acme',
      apiKeyId: apiKeyId as ApiKeyId,
      keyId: 'tk_live_x',
      userId: null,
      rateLimit: null,
      grants: [],
      may: () => true,
    },
    requestId: systemIds.uuid() as RequestId,
    ip: null,
  };
}

let lastKey = 0;

function callOf(more: Partial<Omit<KeyedCall, 'body'>> & { body?: string } = {}): KeyedCall {
  const { body = '{"value":"canary"}', ...rest } = more;
  return {
    caller: callerOf(),
    key: `key-${++lastKey}`,
    method: 'POST',
    path: '/v1/notes',
    query: '',
    audit: 'note.create',
    worksSealed: false,
    ...rest,
    body: Buffer.from(body),
  };
}

/** The same call as another arrival of it: all but the request id. */
const again = (call: KeyedCall): KeyedCall => ({
  ...call,
  caller: { ...call.caller, requestId: systemIds.uuid() as RequestId },
});

function actOf(call: KeyedCall, run: KeyedAct['run']): KeyedAct {
  return {
    run,
    answerTo(result) {
      const { requestId } = call.caller;
      const body = JSON.stringify({ data: result, meta: { request_id: requestId } });
      return { answer: { status: 201, body, requestId, isReplay: false }, kept: body };
    },
  };
}

function createGate() {
  let open = () => {};
  let arrived = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  return {
    open: () => open(),
    /** Resolves when somebody stands before it. */
    reached,
    pass: () => {
      arrived();
      return opened;
    },
  };
}

forEachDatabase((name, openDatabase) => {
  let db: TestDatabase;
  let view: View<NotesDb>;
  let clock: ReturnType<typeof createPausingClock>;
  let here: IdempotencyRecords;
  const errors: object[] = [];

  /** As another process has it: its own clock, the same database. */
  function createElsewhere(ownClock = createPausingClock()): IdempotencyRecords {
    const rootKey = new Secret(Buffer.alloc(32, 7));
    const tenantKeys = createKms({
      ...ROOT_KEY_ONLY,
      db,
      clock: ownClock,
      random: systemRandom,
      generations: createGenerations({ db, clock: ownClock }),
      rootKey,
      envelopeColumns,
    });
    const logger = { error: (fields: object) => void errors.push(fields) };
    return createIdempotency({
      db,
      clock: ownClock,
      ids: systemIds,
      random: systemRandom,
      tenantKeys,
      logger: logger as never,
    });
  }

  beforeAll(async () => {
    db = await openDatabase([...NOTE_MIGRATIONS, ...generationMigrations, ...kmsMigrations, ...migrations]);
    view = db.view<NotesDb>(NOTE_TABLES);
    clock = createPausingClock();
    here = createElsewhere(clock);
    const rootKey = new Secret(Buffer.alloc(32, 7));
    const generations = createGenerations({ db, clock });
    const kms = createKms({
      ...ROOT_KEY_ONLY,
      db,
      clock,
      random: systemRandom,
      generations,
      rootKey,
      envelopeColumns,
    });
    for (const tenantId of TENANTS) {
      const masterKey = await kms.prepare(tenantId);
      await db.transaction((tx) => kms.createFor(tx, tenantId, masterKey));
    }
  });
  afterAll(() => db.cleanup());

  const countNotes = async (scope = LIVE) =>
    (await view.scoped(scope).selectFrom('notes').select('id').execute()).length;

  const roads = {
    async transaction(caller: Caller): Promise<string> {
      const id = systemIds.uuid();
      return db.transaction(async (tx) => {
        await view.scoped(caller.principal.scope, tx).insertInto('notes').values(noteOf(id)).execute();
        await recordAnswer(tx, caller, id);
        return id;
      });
    },
    async 'group commit'(caller: Caller): Promise<string> {
      const id = systemIds.uuid();
      const note = view.insertion('notes', caller.principal.scope, noteOf(id));
      await db.commitInserts([note, ...answerInsertions(caller, id)]);
      return id;
    },
  };
  const createNote = roads.transaction;

  const answer = (call: KeyedCall, run: KeyedAct['run'] = createNote, service = here) =>
    service.answer(call, actOf(call, run));

  /** Moves the clock on whenever somebody waits on it, until the promise settles. */
  async function settle<T>(promise: Promise<T>, on = clock): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    promise.then(settled, settled);
    while (!isSettled) {
      await new Promise((resolve) => setImmediate(resolve));
      if (on.pauses() === 0) continue;
      on.advance(PAUSE_MS);
      // A renewal that the clock has set off is written before the next look at the lease.
      await db.ping();
    }
    return promise;
  }

  const untilPaused = (on = clock) => expect.poll(() => on.pauses()).toBeGreaterThan(0);

  describe.each(Object.entries(roads))('a change by %s', (_road, create) => {
    it('is made once; the replay is the first answer, request id and all', async () => {
      const call = callOf();
      const before = await countNotes();
      const first = await answer(call, create);
      const second = await answer(again(call), create);
      expect(first).toMatchObject({ status: 201, isReplay: false, requestId: call.caller.requestId });
      expect(second).toEqual({ ...first, isReplay: true });
      expect(await countNotes()).toBe(before + 1);
      expect(errors).toEqual([]);
    });

    it('is made once by identical calls at the same time, in two processes', async () => {
      const elsewhere = createElsewhere(clock);
      for (let round = 0; round < 10; round++) {
        const call = callOf();
        const before = await countNotes();
        const answers = await settle(
          Promise.all([here, elsewhere, here, elsewhere].map((one) => answer(again(call), create, one))),
        );
        expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
        expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
        expect(await countNotes()).toBe(before + 1);
      }
    });

    it('of a process that died is made by who takes over; when the dead one wakes, its own is undone', async () => {
      const call = callOf();
      const gate = createGate();
      const before = await countNotes();
      const frozen = createPausingClock();
      const dead = answer(
        call,
        async (caller) => {
          await gate.pass();
          return create(caller);
        },
        createElsewhere(frozen),
      );
      await gate.reached;
      const retried = await settle(answer(again(call), create));
      expect(retried.isReplay).toBe(false);
      gate.open();
      expect(await settle(dead, frozen)).toEqual({ ...retried, isReplay: true });
      expect(await countNotes()).toBe(before + 1);
    });
  });

  describe('who shares a record', () => {
    it('is one tenant, mode, credential, method, path and key; query and body must be the same', async () => {
      const call = callOf({ query: 'force=true' });
      await answer(call);
      const others: KeyedCall[] = [
        { ...call, key: `${call.key}x` },
        { ...call, path: '/v1/notes/x' },
        { ...call, method: 'PUT' },
        { ...call, caller: callerOf(LIVE, 'key-2') },
        { ...call, caller: callerOf({ ...LIVE, sandbox: true }) },
        { ...call, caller: callerOf({ ...LIVE, tenantId: 'tenant-b' as TenantId }) },
      ];
      for (const other of others) expect((await answer(other)).isReplay).toBe(false);
      const conflicts = [
        { ...again(call), body: Buffer.from('{"value":"other"}') },
        { ...again(call), query: 'force=false' },
        { ...again(call), query: '', body: Buffer.concat([Buffer.from('force=true'), call.body]) },
      ];
      for (const conflict of conflicts) {
        await expect(answer(conflict)).rejects.toMatchObject({ type: 'idempotency_conflict', status: 409 });
      }
    });
  });

  describe('a duplicate of a call under way', () => {
    it('waits for it and gets its answer; one with another body is refused at once', async () => {
      const call = callOf();
      const gate = createGate();
      const first = answer(call, async (caller) => {
        await gate.pass();
        return createNote(caller);
      });
      await gate.reached;
      await expect(answer({ ...again(call), body: Buffer.from('other') })).rejects.toMatchObject({
        type: 'idempotency_conflict',
      });
      const second = answer(again(call));
      await untilPaused();
      gate.open();
      const expected = { ...(await first), isReplay: true };
      expect(await settle(second)).toEqual(expected);
    });

    it('gives up after 30 s with a 503 that says when to come back; the first is not disturbed', async () => {
      const call = callOf();
      const gate = createGate();
      const first = answer(call, async (caller) => {
        await gate.pass();
        return createNote(caller);
      });
      await gate.reached;
      const startedMs = clock.monotonicMs();
      await expect(settle(answer(again(call)))).rejects.toMatchObject({
        type: 'dependency_unavailable',
        status: 503,
        retryAfterSeconds: 1,
      });
      const waitedMs = clock.monotonicMs() - startedMs;
      expect(waitedMs).toBeGreaterThanOrEqual(LIMITS.idempotencyWaitMs);
      expect(waitedMs).toBeLessThanOrEqual(LIMITS.idempotencyWaitMs + PAUSE_MS);
      gate.open();
      expect((await first).isReplay).toBe(false);
    });

    it('takes its turn when the first has failed', async () => {
      const call = callOf();
      const gate = createGate();
      const first = answer(call, async () => {
        await gate.pass();
        throw new AppError('dependency_unavailable', 'no');
      });
      await gate.reached;
      const second = answer(again(call));
      await untilPaused();
      gate.open();
      await expect(first).rejects.toThrow('no');
      expect((await settle(second)).isReplay).toBe(false);
    });

    if (name === 'sqlite')
      it('is refused at once where too many of the tenant wait, and another tenant is not', async () => {
        const gates = [createGate(), createGate()];
        const call = callOf();
        const ofOther = callOf({ caller: callerOf({ ...LIVE, tenantId: 'tenant-b' as TenantId }) });
        const firsts = [call, ofOther].map((one, index) =>
          answer(one, async (caller) => {
            await gates[index]!.pass();
            return createNote(caller);
          }),
        );
        await Promise.all(gates.map(({ reached }) => reached));
        const begun = clock.begun();
        const crowd = Array.from({ length: LIMITS.idempotencyWaitersPerTenantMax }, () =>
          answer(again(call)),
        );
        await untilPaused();
        await expect(answer(again(call))).rejects.toMatchObject({ status: 503 });
        crowd.push(answer(again(ofOther)));
        await untilPaused();
        for (const gate of gates) gate.open();
        await Promise.all(firsts);
        const answers = await settle(Promise.all(crowd));
        expect(answers.every(({ isReplay }) => isReplay)).toBe(true);
        // All who wait for a record read it together.
        expect(clock.begun() - begun).toBeLessThan(LIMITS.idempotencyWaitersPerTenantMax / 2);
      });
  });

  describe('what is kept', () => {
    it.each([
      ['a bad field', validationError('name', 'is required')],
      ['a row that is not there', notFound('Vault')],
      ['a conflict', new AppError('conflict', 'taken')],
      ['a missing grant', new AppError('forbidden', 'no')],
    ])('%s is refused again, though it would succeed now', async (_what, refusal) => {
      const call = callOf();
      await expect(answer(call, () => Promise.reject(refusal))).rejects.toBe(refusal);
      const { status, body, isReplay } = await answer(again(call));
      expect([status, isReplay]).toEqual([refusal.status, true]);
      expect(JSON.parse(body)).toEqual({
        error: { type: refusal.type, message: refusal.publicMessage, request_id: call.caller.requestId },
        ...(refusal.fields && { fields: refusal.fields }),
      });
    });

    it.each([
      ['401', new AppError('invalid_token', 'no')],
      ['502', new AppError('upstream_unreachable', 'no')],
      ['503', new AppError('dependency_unavailable', 'no')],
      ['a bug', new TypeError('no')],
    ])('%s is not: the retry runs', async (_what, failure) => {
      const call = callOf();
      await expect(answer(call, () => Promise.reject(failure))).rejects.toBe(failure);
      expect((await answer(again(call))).isReplay).toBe(false);
    });

    it('a change that was rolled back leaves no answer', async () => {
      const call = callOf();
      const before = await countNotes();
      const failing = answer(call, (caller) =>
        db.transaction(async (tx) => {
          await view.scoped(LIVE, tx).insertInto('notes').values(noteOf(systemIds.uuid())).execute();
          await recordAnswer(tx, caller, 'x');
          throw new AppError('dependency_unavailable', 'no');
        }),
      );
      await expect(failing).rejects.toThrow('no');
      expect((await answer(again(call))).isReplay).toBe(false);
      expect(await countNotes()).toBe(before + 1);
    });

    it.each([
      ['a failure', new AppError('dependency_unavailable', 'no')],
      ['a refusal', new AppError('conflict', 'no')],
    ])('a change that was committed before %s is not made again', async (_what, failure) => {
      const call = callOf();
      const before = await countNotes();
      let made = '';
      const first = answer(call, async (caller) => {
        made = await createNote(caller);
        throw failure;
      });
      if (failure.status === 503) await expect(first).rejects.toBe(failure);
      else expect(JSON.parse((await first).body).data).toBe(made);
      const retried = await answer(again(call));
      expect([retried.isReplay, JSON.parse(retried.body).data]).toEqual([true, made]);
      expect(await countNotes()).toBe(before + 1);
    });

    it('what changes nothing is kept afterwards; a change without its answer is logged', async () => {
      const reading = callOf({ audit: null });
      await answer(reading, async () => 'read');
      expect((await answer(again(reading))).isReplay).toBe(true);
      expect(errors).toEqual([]);
      const forgetful = callOf();
      await answer(forgetful, async () => 'forgot');
      expect(errors.splice(0)).toEqual([{ request_id: forgetful.caller.requestId, audit: 'note.create' }]);
      expect(CHANGE_WITHOUT_ANSWER).toContain('without its answer');
      expect((await answer(again(forgetful))).isReplay).toBe(true);
    });

    it('a large answer is not, where nothing was changed: the retry reads again', async () => {
      const call = callOf({ audit: null });
      const read = async () => 'x'.repeat(LIMITS.idempotencyReadAnswerCharactersMax);
      const first = await answer(call, read);
      expect(JSON.parse(first.body).data).toBe(await read());
      expect((await answer(again(call), read)).isReplay).toBe(false);
    });

    it('is sealed: neither the answer nor the body of the call can be read or guessed from the rows', async () => {
      const call = callOf({ body: '{"value":"4242424242424242"}' });
      await answer(call, async (caller) =>
        db.transaction(async (tx) => {
          await recordAnswer(tx, caller, 'canary-of-the-answer');
          return 'canary-of-the-answer';
        }),
      );
      const rows = await db
        .view(idempotencyTables)
        .scoped(LIVE)
        .selectFrom('idempotency_records')
        .selectAll()
        .execute();
      const bytes = Buffer.concat(
        rows.flatMap((row) =>
          Object.values(row).map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(String(value)))),
        ),
      );
      expect(bytes.includes('canary-of-the-answer')).toBe(false);
      expect(bytes.includes('4242424242424242')).toBe(false);
      expect(bytes.includes(call.key)).toBe(false);
      // The same body under another key has another hash.
      const hashes = rows
        .filter(({ part }) => part === 'claim')
        .map((row) => row.request_hash.toString('hex'));
      expect(new Set(hashes).size).toBe(hashes.length);
    });
  });

  describe('an intent', () => {
    const begin = (caller: Caller, intentId: string | null) =>
      db.transaction((tx) => recordIntent(tx, caller, intentId));

    it('outlives the try that stored it, is seen by the next, and stays one', async () => {
      const call = callOf();
      const seen: (string | null | undefined)[] = [];
      const failing = answer(call, async (caller) => {
        seen.push(caller.idempotency?.intentId);
        await begin(caller, 'lease-7');
        throw new AppError('upstream_unreachable', 'the database did not answer');
      });
      await expect(failing).rejects.toThrow('did not answer');
      await expect(answer({ ...again(call), body: Buffer.from('other') })).rejects.toMatchObject({
        type: 'idempotency_conflict',
      });
      const finished = await answer(again(call), async (caller) => {
        seen.push(caller.idempotency?.intentId);
        return createNote(caller);
      });
      expect(seen).toEqual([null, 'lease-7']);
      expect(await answer(again(call))).toEqual({ ...finished, isReplay: true });
    });

    it('that was undone leaves nothing to the next', async () => {
      const call = callOf();
      await expect(
        answer(call, async (caller) => {
          await begin(caller, 'lease-8');
          await begin(caller, null);
          throw new AppError('upstream_unreachable', 'no');
        }),
      ).rejects.toThrow('no');
      let next: CallRecord | undefined;
      await answer(again(call), async (caller) => {
        next = caller.idempotency;
        return createNote(caller);
      });
      expect(next?.intentId).toBeNull();
    });

    it('cannot be stored by a try that was taken over, so that it begins nothing outside', async () => {
      const call = callOf();
      const gate = createGate();
      const frozen = createPausingClock();
      const effects: string[] = [];
      const dead = answer(
        call,
        async (caller) => {
          await gate.pass();
          await begin(caller, 'lease-9');
          effects.push('dead');
          return createNote(caller);
        },
        createElsewhere(frozen),
      );
      await gate.reached;
      const taken = await settle(
        answer(again(call), async (caller) => {
          await begin(caller, 'lease-10');
          effects.push('taker');
          return createNote(caller);
        }),
      );
      gate.open();
      await expect(dead).rejects.toMatchObject({ status: 503 });
      expect(effects).toEqual(['taker']);
      expect(await answer(again(call))).toEqual({ ...taken, isReplay: true });
    });

    it('means nothing to a call without a key', async () => {
      await begin(callerOf(), 'lease-11');
      await db.transaction((tx) => recordAnswer(tx, callerOf(), 'x'));
      expect(answerInsertions(callerOf(), 'x')).toEqual([]);
    });
  });

  it('is forgotten after 24 h, whether or not the cleaner has been there', async () => {
    const [lazy, cleaned] = [callOf(), callOf()];
    const firsts: Answer[] = [await answer(lazy), await answer(cleaned)];
    clock.advance(LIMITS.idempotencyRetentionMs - 1);
    expect((await answer(again(lazy))).isReplay).toBe(true);
    clock.advance(1);
    const anew = await answer(again(lazy));
    expect(anew.isReplay).toBe(false);
    expect(anew.body).not.toBe(firsts[0]?.body);
    expect(await here.deleteExpired(1)).toBe(1);
    while ((await here.deleteExpired(100)) > 0);
    expect((await answer(again(lazy))).isReplay).toBe(true);
    expect((await answer(again(cleaned))).isReplay).toBe(false);
  });
});
