import type { Clock } from '../../kernel/clock.js';
import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Database } from '../../platform/storage/database.js';
import type { CodeStore } from './authorization/store.js';
import type { DeviceStore } from './devices/store.js';

export interface ConsentJobsDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly codes: Pick<CodeStore, 'removeEnded'>;
  readonly devices: Pick<DeviceStore, 'removeEnded'>;
}

/** A code that comes again after it has expired still ends what it gave, for so long. */
const ENDED_KEPT_MS = 86_400_000;

export function consentJobs({ db, clock, codes, devices }: ConsentJobsDeps): JobDefinition[] {
  return [
    {
      kind: 'oauth_consent_retention',
      title: 'Removes authorization codes and device codes that have ended',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      run: ({ batchMax }) =>
        db.transaction(async (tx) => {
          const beforeMs = clock.nowMs() - ENDED_KEPT_MS;
          const removed = [
            await codes.removeEnded(tx, beforeMs, batchMax),
            await devices.removeEnded(tx, beforeMs, batchMax),
          ];
          const rows = removed.reduce((sum, count) => sum + count, 0);
          return batchReport(rows, removed.includes(batchMax));
        }),
    },
  ];
}
