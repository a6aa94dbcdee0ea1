import { z } from 'zod';
import type { Clock } from '../../../kernel/clock.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { JobDefinition } from '../../../platform/jobs/definition.js';
import type { Jobs } from '../../../platform/jobs/jobs.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { Instruments } from '../../../platform/telemetry/instruments.js';
import type { EnvelopeColumn } from '../envelope-columns.js';
import type { Kms } from '../service.js';
import { createKmsStore } from '../store.js';
import { createEnvelopeSteps } from './envelopes.js';
import { createPass } from './pass.js';
import { createRewrapStore, type RewrapPass } from './store.js';

export type RewrapProgress = Pick<
  RewrapPass,
  | 'leaseId'
  | 'targetVersion'
  | 'status'
  | 'rowsTotal'
  | 'rowsDone'
  | 'rowsFailed'
  | 'startedAtMs'
  | 'finishedAtMs'
  | 'lastError'
  | 'issuedAtMs'
>;

/** Brings what a tenant's former master keys have sealed under the active one (kms-admin.md §3.5). */
export interface Rewraps {
  /**
   * In the transaction that made the version active. A pass under way gets the new target instead of a second one beside
   * it. Returns the lease id.
   */
  issue(tx: Transaction, tenantId: TenantId, targetVersion: number): Promise<number>;
  /** The newest pass of the tenant. */
  progress(tenantId: TenantId): Promise<RewrapProgress | undefined>;
  /** How many stored envelopes that version of the master key opens. */
  references(tenantId: TenantId, version: number): Promise<number>;
  jobs(): JobDefinition[];
}

export interface RewrapsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly kms: Pick<Kms, 'reseal' | 'faultOf'>;
  readonly jobs: Pick<Jobs, 'enqueue'>;
  readonly instruments: Instruments;
  /** Those of every capability that seals. */
  readonly envelopeColumns: readonly EnvelopeColumn[];
}

const KIND = 'tenant_rewrap';
const payloadSchema = z.object({ tenant_id: z.string() });

export function createRewraps(deps: RewrapsDeps): Rewraps {
  const { db, clock, jobs, instruments } = deps;
  const store = createRewrapStore(db);
  const left = new Map<TenantId, number>();
  const counterOf = (result: string) =>
    instruments.counter('knox_rewrap_rows_total', 'Envelopes that passes have brought under a new key.', {
      result,
    });
  instruments.gauge('knox_rewrap_pending', 'Envelopes that are left in passes of this process.', () =>
    [...left.values()].reduce((sum, rows) => sum + rows, 0),
  );
  const steps = createEnvelopeSteps(db, deps.envelopeColumns);
  const work = createPass({
    ...deps,
    store,
    keys: createKmsStore(db),
    steps,
    rows: { done: counterOf('done'), failed: counterOf('failed') },
    onProgress(tenantId, rowsLeft) {
      if (rowsLeft === null) left.delete(tenantId);
      else left.set(tenantId, rowsLeft);
    },
  });

  return {
    async issue(tx, tenantId, targetVersion) {
      const leaseId = await jobs.enqueue(tx, KIND, { tenant_id: tenantId }, { key: tenantId });
      await store.put(tx, tenantId, {
        leaseId,
        targetVersion,
        status: 'pending',
        cursor: null,
        rowsTotal: null,
        rowsDone: 0,
        rowsFailed: 0,
        sweepDone: 0,
        lastError: null,
        issuedAtMs: clock.nowMs(),
        startedAtMs: null,
        finishedAtMs: null,
      });
      return leaseId;
    },

    progress: (tenantId) => store.find(tenantId),

    async references(tenantId, version) {
      let rows = 0;
      for (const step of steps) rows += await step.countOf(tenantId, version);
      return rows;
    },

    jobs: () => [
      {
        kind: KIND,
        title: 'Seals what a tenant keeps under its newest master key; waits while the tenant is sealed',
        schedule: 'on_demand',
        batchMax: 500_000,
        concurrency: 2,
        // Short, since who takes over loses nothing: envelopes are compared before they are replaced.
        leaseMs: 6_000,
        retry: { attemptsMax: null, delayMsMax: 60_000 },
        run: (context) => work(payloadSchema.parse(context.payload).tenant_id as TenantId, context),
      },
    ],
  };
}
