import type { Clock } from '../../kernel/clock.js';
import { type Instruments, SECONDS_BOUNDS } from '../../platform/telemetry/instruments.js';
import type { LeaseCounts } from './leases/claims.js';

export interface DynDbMetrics {
  counted(counts: LeaseCounts): void;
  dropped(durationMs: number): void;
  timeMint<T>(act: () => Promise<T>): Promise<T>;
}

/** Longer than some sweeps in a row: then another process does them, and tells what it finds. */
const KEPT_MS = 60_000;

const NONE: LeaseCounts = { live: 0, errored: 0, due: 0, late: 0 };

const STATES: Readonly<Record<keyof LeaseCounts, string>> = {
  live: 'that have not ended',
  errored: 'whose end has failed five times or more',
  due: 'that are to be ended now',
  late: 'whose time was over two seconds ago or more',
};

export function createDynDbMetrics(instruments: Instruments, clock: Clock): DynDbMetrics {
  let counts = NONE;
  let countedAtMs = Number.NEGATIVE_INFINITY;
  const latest = () => (clock.monotonicMs() - countedAtMs < KEPT_MS ? counts : NONE);
  for (const state of Object.keys(STATES) as (keyof LeaseCounts)[]) {
    const help = `Database leases ${STATES[state]}, as this process found them within the last minute.`;
    instruments.gauge(`knox_dyn_db_leases_${state}`, help, () => latest()[state]);
  }
  const histogram = (name: string, help: string) => instruments.histogram(name, help, SECONDS_BOUNDS);
  const mints = histogram('knox_dyn_db_mint_duration_seconds', 'Mints, failed ones too.');
  const drops = histogram('knox_dyn_db_revoke_duration_seconds', 'Drops of a user by the lease worker.');

  return {
    counted(found) {
      counts = found;
      countedAtMs = clock.monotonicMs();
    },
    dropped: (durationMs) => drops.observe(durationMs / 1_000),
    async timeMint(act) {
      const startedMs = clock.monotonicMs();
      try {
        return await act();
      } finally {
        mints.observe((clock.monotonicMs() - startedMs) / 1_000);
      }
    },
  };
}
