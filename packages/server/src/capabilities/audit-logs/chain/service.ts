import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Logger } from '../../../platform/log/logger.js';
import type { Database } from '../../../platform/storage/database.js';
import { createAuditStore, type EventFilter, type SealedAuditRow } from '../store.js';
import { checkpointFields, checkpointSigner, endorse, signCheckpoint } from './checkpoint.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { repeat } from './repeat.js';
import { trimTenant } from './retention.js';
import { SEAL_ROWS_MAX, sealPending } from './sealer.js';
import { createChainStore } from './store.js';
import { createAuditVerification, type SequenceRange, type TenantVerification } from './verification.js';

export interface AuditChainDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'error'>;
  readonly rootKey: Secret<Buffer>;
  /** The former root key, while it is being changed: its checkpoints stay good under the new one. */
  readonly previousRootKey?: Secret<Buffer> | null;
  /** Null = for ever. */
  readonly retentionMs: number | null;
}

export interface EventPage {
  readonly rows: readonly SealedAuditRow[];
  /** Null = drained. */
  readonly nextCursor: string | null;
  readonly watermarkSeconds: number;
}

/** What happens to audit rows after their commit: sealing, checkpoints, the feed, verification, retention. */
export interface AuditChain {
  /** Keeps the public key; then seals until `stop`. Checkpoints and trimming are jobs (`jobs.ts`). */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A row is about to be committed. */
  wake(): void;
  sealPending(limit?: number): Promise<number>;
  /** Rows of the whole installation that are not sealed, at most a second old; counted up to 10,000. */
  unsealedRows(): number;
  /** Signs heads of chains that are due; returns how many. */
  writeCheckpoints(chainsMax?: number): Promise<number>;
  /** Removes what retention no longer keeps, until it is asked to stop; returns how many rows. */
  trim(rowsMax?: number, isStopping?: () => boolean): Promise<number>;
  events(
    tenantId: TenantId,
    filter: EventFilter,
    cursor: string | undefined,
    limit: number,
  ): Promise<EventPage>;
  /** The number of the last sealed row of each that has any. */
  heads(tenantIds: readonly TenantId[]): Promise<ReadonlyMap<TenantId, number>>;
  /** Sealed rows above that number, in their order. */
  rowsAfter(tenantId: TenantId, after: number, limit: number): Promise<readonly SealedAuditRow[]>;
  verify(tenantId: TenantId, range: SequenceRange): Promise<TenantVerification>;
}

/** A row is sealed at most 250 ms after its commit (contract README §7); the rest of it is for the pass itself. */
const SEAL_POLL_MS = 150;
const SEAL_ROWS_MIN = 10;
/** A group commit takes less. */
const SEAL_SOON_MS = 10;
const UNSEALED_COUNTED_MAX = 10_000;
const UNSEALED_COUNT_EVERY_MS = 1_000;
const CHECKPOINTS_AT_ONCE = 100;
/** Rows looked through in one query of the feed, and queries in one call: a filter may match little. */
const FEED_WINDOW_ROWS = 1_000;
const FEED_WINDOWS_MAX = 20;
const VERIFICATIONS_WAITING_MAX = 20;
/** On PostgreSQL rows are sealed after their commit. */
const WATERMARK_SECONDS = { sqlite: 0, postgres: 1 } as const;

export function createAuditChain(deps: AuditChainDeps): AuditChain {
  const { db, clock, logger, rootKey, previousRootKey, retentionMs } = deps;
  const store = createChainStore(db);
  const rows = createAuditStore(db);
  const signer = checkpointSigner(rootKey);
  const verification = createAuditVerification({ db, rootKey });
  let verifying: Promise<unknown> = Promise.resolve();
  let verificationsWaiting = 0;
  let isStopping = false;
  /** Fewer where a pass has failed: on a starved machine a full one may outlast a transaction's time. */
  let passRows = SEAL_ROWS_MAX;

  let unsealedRows = 0;
  let countedAtMs = Number.NEGATIVE_INFINITY;

  /** Each process looks anyway before it seals; only where rows wait is there something to count. */
  async function hasUnsealed(): Promise<boolean> {
    if ((await store.countUnsealedUpTo(1)) === 0) {
      unsealedRows = 0;
      return false;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs - countedAtMs >= UNSEALED_COUNT_EVERY_MS) {
      countedAtMs = nowMs;
      unsealedRows = await store.countUnsealedUpTo(UNSEALED_COUNTED_MAX);
    }
    return true;
  }

  async function sealAll(): Promise<void> {
    // On SQLite the writer has sealed them; here is only what an earlier version left.
    while (!isStopping && (await hasUnsealed())) {
      try {
        if ((await sealPending(db, store, passRows)) === 0) return;
        passRows = Math.min(2 * passRows, SEAL_ROWS_MAX);
      } catch (error) {
        passRows = Math.max(passRows >> 2, SEAL_ROWS_MIN);
        throw error;
      }
    }
  }

  async function writeCheckpoints(chainsMax = CHECKPOINTS_AT_ONCE): Promise<number> {
    const { auditCheckpointMs, auditCheckpointRows } = LIMITS;
    const nowMs = clock.nowMs();
    const due = await store.listDue(nowMs - auditCheckpointMs, auditCheckpointRows, chainsMax);
    let written = 0;
    for (const { tenantId, sequenceNumber, rowHash } of due) {
      const statement = { tenantId, kind: 'checkpoint', sequenceNumber, rowHash, atMs: nowMs } as const;
      const checkpoint = signCheckpoint(signer, statement);
      if (!(await db.transaction((tx) => store.addCheckpoint(tx, checkpoint)))) continue;
      logger.info({ checkpoint: checkpointFields(checkpoint) }, 'audit checkpoint');
      written++;
    }
    return written;
  }

  async function trim(rowsMax = Number.POSITIVE_INFINITY, isStopping = () => false): Promise<number> {
    if (retentionMs === null) return 0;
    const beforeMs = clock.nowMs() - retentionMs;
    let total = 0;
    for (const tenantId of await store.listTenants()) {
      for (let removed = 1; removed > 0 && total < rowsMax && !isStopping(); total += removed) {
        const range = { beforeMs, rowsMax: rowsMax - total };
        const batch = await trimTenant({ db, store, signer }, tenantId, range, clock.nowMs());
        removed = batch.removed;
        if (batch.brokenAt !== null)
          logger.error(
            { tenant: tenantId, sequence_number: batch.brokenAt },
            'the audit chain does not verify: nothing is trimmed from it',
          );
        await nextTurn();
      }
    }
    return total;
  }

  /** The present public key, and the endorsement of all that the former root key vouched for. */
  async function keepKeys(): Promise<void> {
    await store.keepKey(signer.keyId, signer.publicKey, clock.nowMs());
    const publicKey = signer.publicKey.toString('base64');
    logger.info(
      { key_id: signer.keyId, public_key: publicKey },
      'audit checkpoints are signed with this key',
    );
    if (!previousRootKey) return;
    const former = checkpointSigner(previousRootKey);
    if (former.keyId === signer.keyId) return;
    await store.keepKey(former.keyId, former.publicKey, clock.nowMs());
    await store.endorseKey(former.keyId, signer.keyId, endorse(signer, former.publicKey));
  }

  const sealing = repeat({
    clock,
    everyMs: SEAL_POLL_MS,
    run: sealAll,
    onFailure: (error) => logger.error({ err: error }, 'audit rows not sealed'),
  });

  return {
    async start() {
      await keepKeys();
      sealing.start();
    },

    async stop() {
      isStopping = true;
      await sealing.stop();
    },

    wake() {
      if (db.dialect === 'postgres') sealing.wake(SEAL_SOON_MS);
    },

    sealPending: (limit) => sealPending(db, store, limit),
    unsealedRows: () => unsealedRows,
    writeCheckpoints,
    trim,

    async events(tenantId, filter, cursor, limit) {
      const after = cursor === undefined ? 0 : decodeCursor(cursor);
      // Whoever asks at once after an act finds its row.
      if (db.dialect === 'postgres' && (await store.countUnsealedUpTo(1)) > 0) await sealPending(db, store);
      const { first } = await store.bounds(tenantId);
      const end = (await store.findHead(tenantId))?.sequenceNumber ?? 0;
      const found: SealedAuditRow[] = [];
      let at = Math.max(after, (first ?? 1) - 1);
      for (let window = 0; window < FEED_WINDOWS_MAX && at < end && found.length < limit; window++) {
        const upTo = Math.min(at + FEED_WINDOW_ROWS, end);
        const wanted = limit - found.length;
        const batch = await rows.sealed(tenantId, filter, { after: at, upTo, limit: wanted });
        found.push(...batch);
        at = batch.length < wanted ? upTo : (batch.at(-1)?.sequenceNumber ?? upTo);
        await nextTurn();
      }
      const nextCursor = at < end ? encodeCursor(at) : null;
      return { rows: found, nextCursor, watermarkSeconds: WATERMARK_SECONDS[db.dialect] };
    },

    async heads(tenantIds) {
      if (tenantIds.length === 0) return new Map();
      const heads = await store.headsOf(tenantIds);
      return new Map([...heads].map(([id, { sequenceNumber }]) => [id, sequenceNumber]));
    },

    rowsAfter: (tenantId, after, limit) =>
      rows.sealed(tenantId, {}, { after, upTo: Number.MAX_SAFE_INTEGER, limit }),

    // One at a time: each reads a whole chain.
    verify(tenantId, range) {
      if (verificationsWaiting >= VERIFICATIONS_WAITING_MAX) return Promise.reject(tooManyVerifications());
      verificationsWaiting++;
      const turn = verifying.then(() => verification.verifyTenant(tenantId, range));
      verifying = turn.catch(() => {}).finally(() => verificationsWaiting--);
      return turn;
    },
  };
}

function tooManyVerifications(): AppError {
  return new AppError('dependency_unavailable', 'Too many verifications are waiting', {
    dependency: 'audit_verification',
    retryAfterSeconds: 5,
  });
}
