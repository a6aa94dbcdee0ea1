import { migrations as accountMigrations } from '../capabilities/accounts/index.js';
import {
  createKms,
  createRewraps,
  type EnvelopeColumn,
  type EnvelopePlace,
  type Kms,
  migrations as kmsMigrations,
  type Rewraps,
} from '../capabilities/kms/index.js';
import type { Mode, TenantId } from '../kernel/ids.js';
import { Secret } from '../kernel/secret.js';
import { createGenerations, migrations as generationMigrations } from '../platform/cache/generations.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createJobs, type Jobs } from '../platform/jobs/jobs.js';
import { migrations as jobMigrations } from '../platform/jobs/tables.js';
import { createLogger } from '../platform/log/logger.js';
import type { Database, TableSet } from '../platform/storage/database.js';
import type { Migration } from '../platform/storage/migration.js';
import { createInstruments } from '../platform/telemetry/instruments.js';
import type { OpenTestDatabase, TestDatabase } from './databases.js';
import { ROOT_KEY_ONLY } from './kms-settings.js';
import { createManualClock, type ManualClock } from './manual-clock.js';

export const REWRAP_TENANT = 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId;
export const OTHER_TENANT = 'aaaaaaaa-0000-4000-8000-000000000002' as TenantId;

/** Rows with two envelopes of which one may be missing, and rows of no mode. */
const THINGS = { table: 'things', idColumn: 'id', mode: 'row' } as const;
const FIRST = { ...THINGS, column: 'first_envelope' } as const satisfies EnvelopeColumn;
const SECOND = { ...THINGS, column: 'second_envelope' } as const satisfies EnvelopeColumn;
const PAPER = {
  table: 'papers',
  idColumn: 'id',
  column: 'text_envelope',
  mode: 'none',
} as const satisfies EnvelopeColumn;
export const RIG_COLUMNS: readonly EnvelopeColumn[] = [FIRST, SECOND, PAPER];

const rigMigration: Migration = {
  id: '0900-rewrap-rig',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE things (
      tenant_id ${text} NOT NULL,
      sandbox ${integer} NOT NULL,
      id ${text} NOT NULL,
      first_envelope ${bytes} NOT NULL,
      second_envelope ${bytes},
      PRIMARY KEY (tenant_id, sandbox, id)
    )`,
    `CREATE TABLE papers (
      tenant_id ${text} NOT NULL,
      id ${text} NOT NULL,
      text_envelope ${bytes} NOT NULL,
      PRIMARY KEY (tenant_id, id)
    )`,
  ],
};

interface RigTables {
  things: { tenant_id: string; sandbox: number; id: string; first_envelope: Buffer; second_envelope: Buffer };
  papers: { tenant_id: string; id: string; text_envelope: Buffer };
}
const rigTables: TableSet<RigTables> = { things: { scope: 'tenant+mode' }, papers: { scope: 'tenant' } };

/** What one process on the database has; what is not given is real. */
export interface RewrapProcess {
  readonly kms: Kms;
  readonly jobs: Jobs;
  readonly rewraps: Rewraps;
}

export interface RewrapRig extends RewrapProcess {
  readonly db: TestDatabase;
  readonly clock: ManualClock;
  readonly logLines: string[];
  /** One more process, with the keys of this one changed in what is given. On a clock of its own nobody waits for it. */
  startProcess(changed?: (kms: Kms) => Partial<Kms>, ownClock?: ManualClock): Promise<RewrapProcess>;
  /** A new version, and the pass that follows it; the lease id. */
  rotate(tenantId?: TenantId): Promise<number>;
  /** Lets all due work end, and goes on in time. */
  advance(ms: number): Promise<void>;
  addThing(id: string, tenantId?: TenantId, mode?: Mode): Promise<void>;
  addPaper(id: string): Promise<void>;
  envelope(place: EnvelopePlace): Promise<Buffer | null>;
  /** As who changes the row would. */
  setEnvelope(place: EnvelopePlace, envelope: Buffer | null): Promise<void>;
  close(): Promise<void>;
}

export const firstOf = (rowId: string, tenantId = REWRAP_TENANT, mode: Mode = 'live'): EnvelopePlace => ({
  tenantId,
  mode,
  table: 'things',
  rowId,
  column: 'first_envelope',
});
export const secondOf = (rowId: string): EnvelopePlace => ({ ...firstOf(rowId), column: 'second_envelope' });
export const paperOf = (rowId: string): EnvelopePlace => ({
  tenantId: REWRAP_TENANT,
  mode: '',
  table: 'papers',
  rowId,
  column: 'text_envelope',
});

export async function createRewrapRig(open: OpenTestDatabase): Promise<RewrapRig> {
  const db = await open([
    ...accountMigrations,
    ...generationMigrations,
    ...jobMigrations,
    ...kmsMigrations,
    rigMigration,
  ]);
  const clock = createManualClock();
  const logLines: string[] = [];
  const logger = createLogger('debug', { write: (line) => logLines.push(line) });
  const view = (db as Database).view(rigTables);
  const started: RewrapProcess[] = [];

  async function startProcess(
    changed?: (kms: Kms) => Partial<Kms>,
    ownClock?: ManualClock,
  ): Promise<RewrapProcess> {
    const random = systemRandom;
    const its = { db, clock: ownClock ?? clock, logger };
    const rootKey = new Secret(Buffer.alloc(32, 1));
    const generations = createGenerations(its);
    const kms = createKms({
      ...its,
      random,
      generations,
      rootKey,
      ...ROOT_KEY_ONLY,
      envelopeColumns: RIG_COLUMNS,
    });
    const jobs = createJobs({ ...its, ids: systemIds, random });
    const rewraps = createRewraps({
      ...its,
      kms: { ...kms, ...changed?.(kms) },
      jobs,
      instruments: createInstruments(),
      envelopeColumns: RIG_COLUMNS,
    });
    await jobs.start(rewraps.jobs());
    const process = { kms, jobs, rewraps };
    if (!ownClock) started.push(process);
    return process;
  }

  const main = await startProcess();
  for (const tenantId of [REWRAP_TENANT, OTHER_TENANT]) {
    const prepared = await main.kms.prepare(tenantId);
    await db.transaction((tx) => main.kms.createFor(tx, tenantId, prepared));
  }

  const sealed = (place: EnvelopePlace) => main.kms.seal(place, Buffer.from(`secret of ${place.rowId}`));

  return {
    ...main,
    db,
    clock,
    logLines,
    startProcess,

    async rotate(tenantId = REWRAP_TENANT) {
      const version = await main.kms.rotate(tenantId);
      return db.transaction((tx) => main.rewraps.issue(tx, tenantId, version));
    },

    async advance(ms) {
      for (let left = ms; left > 0; left -= 1_000) {
        for (const { jobs } of started) await jobs.idle();
        clock.advance(Math.min(left, 1_000));
      }
      for (const { jobs } of started) await jobs.idle();
    },

    async addThing(id, tenantId = REWRAP_TENANT, mode = 'live') {
      const place = firstOf(id, tenantId, mode);
      const scope = { tenantId, sandbox: mode === 'test' };
      const row = {
        id,
        first_envelope: await sealed(place),
        second_envelope: await sealed({ ...place, column: 'second_envelope' }),
      };
      await db.commitInserts([view.insertion('things', scope, row)]);
    },

    async addPaper(id) {
      const row = { id, text_envelope: await sealed(paperOf(id)) };
      await db.commitInserts([view.insertion('papers', { tenantId: REWRAP_TENANT }, row)]);
    },

    async envelope({ tenantId, mode, table, rowId, column }) {
      const row = await view
        .scoped({ tenantId, sandbox: mode === 'test' })
        .selectFrom(table as 'things')
        .select(column as 'first_envelope')
        .where('id', '=', rowId)
        .executeTakeFirst();
      return row?.[column as 'first_envelope'] ?? null;
    },

    async setEnvelope({ tenantId, mode, table, rowId, column }, envelope) {
      await view
        .scoped({ tenantId, sandbox: mode === 'test' })
        .updateTable(table as 'things')
        .set({ [column]: envelope })
        .where('id', '=', rowId)
        .execute();
    },

    async close() {
      const stopped = started.map(({ jobs }) => jobs.stop(0));
      clock.advance(0);
      await Promise.all(stopped);
      await db.cleanup();
    },
  };
}
