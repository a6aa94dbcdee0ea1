import { createDynDb, type DynDb, type Engines, type Transports } from '../capabilities/dyn-db/index.js';
import type { Engine, EngineSession } from '../capabilities/dyn-db/providers/engine.js';
import { createIdempotency } from '../capabilities/idempotency/index.js';
import type { Caller } from '../kernel/principal.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { Database, View } from '../platform/storage/database.js';
import { createInstruments } from '../platform/telemetry/instruments.js';
import type { Floor } from './harness.js';

/** Thrown at an await of a process, and at every one after it: it is gone. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

type Mint = (caller: Caller) => Promise<{ readonly leaseId: number }>;

export interface SimulatedProcess {
  readonly dynDb: DynDb;
  /**
   * As a call with an idempotency key comes in; `told` hears of each lease that is about to be committed. Null: an
   * earlier call with this key was refused, and so is this.
   */
  mintKeyed(caller: Caller, key: string, mint: Mint, told: (leaseId: number) => void): Promise<number | null>;
  /** It dies at that gate from now on. */
  dieAt(gates: number): void;
  isDead(): boolean;
  pause(isPaused: boolean): void;
  /** A sweep, and the jobs that it asks for. */
  work(): Promise<void>;
}

export interface SimulatedParts {
  readonly engines: Engines;
  readonly transports: Transports;
}

const NEVER = Number.POSITIVE_INFINITY;

/** Services of their own over the same database, every call of which to a database or a key is a place to die at. */
export function startProcess(floor: Floor, target: SimulatedParts): SimulatedProcess {
  let gatesLeft = NEVER;
  let isDead = false;
  let isPaused = false;

  function gate(): void {
    gatesLeft -= 1;
    if (gatesLeft <= 0) isDead = true;
    if (isDead) throw new Crash();
  }

  /** Also between what was done and the news of it. */
  async function gated<T>(act: () => Promise<T>): Promise<T> {
    gate();
    const result = await act();
    gate();
    return result;
  }

  function gatedView<DB>(view: View<DB>): View<DB> {
    return {
      ...view,
      scoped(...how) {
        gate();
        return view.scoped(...how);
      },
      aside(scope) {
        gate();
        return view.aside(scope);
      },
      system(...how) {
        gate();
        return view.system(...how);
      },
    };
  }

  const { db, kms, auditLogs } = floor;
  const gatedDb: Database = {
    ...db,
    view: (tables) => gatedView(db.view(tables)),
    transaction: (run) => gated(() => db.transaction(run)),
    commitInserts: (rows) => gated(() => db.commitInserts(rows)),
  };
  const tenantKeys = {
    seal: (...what: Parameters<typeof kms.seal>) => gated(() => kms.seal(...what)),
    open: (...what: Parameters<typeof kms.open>) => gated(() => kms.open(...what)),
  };

  function gatedSession(session: EngineSession): EngineSession {
    return {
      serverVersion: session.serverVersion,
      ensureGroupRole: (group) => gated(() => session.ensureGroupRole(group)),
      dropGroupRole: (group) => gated(() => session.dropGroupRole(group)),
      createUser: (user, statements) => gated(() => session.createUser(user, statements)),
      renewUser: (name, atMs) => gated(() => session.renewUser(name, atMs)),
      dropUser: (name, statements) => gated(() => session.dropUser(name, statements)),
      missingGrant: () => gated(() => session.missingGrant()),
      mintedUsers: () => gated(() => session.mintedUsers()),
      changeAdminPassword: (next) => gated(() => session.changeAdminPassword(next)),
      warnings: () => gated(() => session.warnings()),
      close: () => session.close(),
    };
  }

  const gatedEngine = (engine: Engine): Engine => ({
    ...engine,
    async connect(...how) {
      gate();
      const session = await engine.connect(...how);
      if (!isDead) return gatedSession(session);
      await session.close();
      throw new Crash();
    },
  });

  const floorOfIts = { ...floor, db: gatedDb, ids: systemIds, random: systemRandom, tenantKeys };
  const asked: Record<string, unknown>[] = [];
  const idempotency = createIdempotency(floorOfIts);
  const dynDb = createDynDb({
    ...floorOfIts,
    auditLogs: {
      record: (...row) => gated(() => auditLogs.record(...row)),
      recordAll: (...rows) => gated(() => auditLogs.recordAll(...rows)),
    },
    jobs: {
      async enqueue(_tx, _kind, payload) {
        asked.push(payload);
        return 0;
      },
      wake: () => {},
    },
    engines: {
      postgres: gatedEngine(target.engines.postgres),
      mysql: gatedEngine(target.engines.mysql),
      mongo: gatedEngine(target.engines.mongo),
    },
    transports: target.transports,
    extraCa: null,
    instruments: createInstruments(),
    get isWorkerPaused() {
      return isPaused;
    },
  });

  return {
    dynDb,
    async mintKeyed(caller, key, mint, told) {
      const { requestId } = caller;
      const call = {
        method: 'POST',
        path: '/v1/simulated',
        query: '',
        body: Buffer.alloc(0),
        audit: null,
        worksSealed: false,
      };
      const { status, body } = await idempotency.answer(
        { ...call, caller, key },
        {
          run: mint,
          answerTo(minted) {
            const { leaseId } = minted as Awaited<ReturnType<Mint>>;
            told(leaseId);
            const kept = JSON.stringify(leaseId);
            return { answer: { status: 200, body: kept, requestId, isReplay: false }, kept };
          },
        },
      );
      return status === 200 ? (JSON.parse(body) as number) : null;
    },
    isDead: () => isDead,
    dieAt(gates) {
      gatesLeft = gates;
    },
    pause(next) {
      isPaused = next;
    },
    async work() {
      await dynDb.sweep({ batchMax: 100 });
      for (const payload of asked.splice(0)) {
        const place = {
          scope: { tenantId: payload['tenant_id'], sandbox: payload['sandbox'] },
          connectionId: payload['connection_id'],
        } as Parameters<DynDb['endDue']>[0];
        const { signal } = new AbortController();
        await dynDb.endDue(place, { batchMax: 3, isStopping: () => false, signal });
      }
    },
  };
}
