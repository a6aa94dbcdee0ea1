import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { Secret } from '../../kernel/secret.js';
import type { Database } from '../../platform/storage/database.js';
import { openDatabase } from '../../platform/storage/open-database.js';
import { createInstruments } from '../../platform/telemetry/instruments.js';
import { endOf, startSource } from '../../testing/child-process.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createProofMaker } from '../../testing/dpop-proofs.js';
import { DpopError } from './errors.js';
import { createDpop, type Dpop, migrations, type ProofRequest } from './index.js';

/** Two servers on one database, each with connections and a memory of its own. */
forEachDatabase((_name, open) => {
  const maker = createProofMaker();
  const url = 'https://api.knoxcall.test/v1/vaults';
  let db: TestDatabase;
  let second: Database;
  let here: Dpop;
  let there: Dpop;

  beforeAll(async () => {
    db = await open(migrations);
    second = await openDatabase(db.storage, { migrations, clock: systemClock });
    here = dpopOf(db);
    there = dpopOf(second);
  });
  afterAll(async () => {
    await second.close();
    await db.cleanup();
  });

  function dpopOf(database: Database): Dpop {
    return createDpop({
      db: database,
      clock: systemClock,
      rootKey: new Secret(Buffer.alloc(32, 1)),
      iatWindowMs: 60_000,
      instruments: createInstruments(),
    });
  }

  function newRequest(): ProofRequest {
    const proof = maker.make({ htm: 'GET', htu: url, iat: Math.floor(systemClock.nowMs() / 1000) });
    return { proofs: [proof], method: 'GET', url, isNonceRequired: false };
  }

  const checkOf = (call: Promise<unknown>) =>
    call.then(
      () => 'taken',
      (error: unknown) => (error instanceof DpopError ? error.check : error),
    );

  it('what one has used the other refuses at its look-up', async () => {
    const request = newRequest();
    await here.consume(await here.verify(request));
    expect(await checkOf(there.verify(request))).toBe('replay');
    const token = newRequest();
    const verified = await there.verify(token);
    await second.transaction((tx) => there.consumeIn(tx, verified));
    expect(await checkOf(here.verify(token))).toBe('replay');
  });

  it('of many at both that all passed the look-up one is taken, whichever way', async () => {
    for (let round = 0; round < 5; round++) {
      const request = newRequest();
      const [ofHere, ofThere] = [await here.verify(request), await there.verify(request)];
      const outcomes = await Promise.all(
        [
          () => here.consume(ofHere),
          () => there.consume(ofThere),
          () => db.transaction((tx) => here.consumeIn(tx, ofHere)),
          () => second.transaction((tx) => there.consumeIn(tx, ofThere)),
          () => here.consume(ofHere),
          () => there.consume(ofThere),
        ].map((use) => checkOf(use())),
      );
      expect(outcomes.sort()).toEqual([...Array(5).fill('replay'), 'taken']);
    }
  });

  it('a transaction that fails gives the proof back', async () => {
    const request = newRequest();
    const verified = await here.verify(request);
    const failing = db.transaction(async (tx) => {
      await here.consumeIn(tx, verified);
      throw new Error('of the grant');
    });
    await expect(failing).rejects.toThrow('of the grant');
    expect(await checkOf(there.consume(await there.verify(request)))).toBe('taken');
    expect(await checkOf(here.consume(verified))).toBe('replay');
  });

  it('a nonce of one is good at the other', async () => {
    const nonce = here.nonce();
    const proof = maker.make({ htm: 'GET', htu: url, iat: Math.floor(systemClock.nowMs() / 1000), nonce });
    const request = { proofs: [proof], method: 'GET', url, isNonceRequired: true };
    expect(await checkOf(there.verify(request))).toBe('taken');
  });

  it.each([
    ['behind the commit leaves the proof used', false, 'replay'],
    ['inside the transaction leaves it unused', true, 'taken'],
  ])('a kill %s', async (_name, isInside, outcome) => {
    const request = newRequest();
    const args = JSON.stringify({ storage: db.storage, request, isInside });
    const child = startSource(new URL('../../testing/dpop-child.ts', import.meta.url), [args]);
    const end = await endOf(child, (line) => line === 'used' && child.kill('SIGKILL'));
    expect(end).toMatchObject({ signal: 'SIGKILL', lines: ['used'] });
    expect(await checkOf(here.verify(request))).toBe(outcome);
  });
});
