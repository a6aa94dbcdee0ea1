import { expect, it } from 'vitest';
import { createExposition } from '../../platform/telemetry/exposition.js';
import { createInstruments } from '../../platform/telemetry/instruments.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createDynDbMetrics } from './metrics.js';

it('what this process found is told until another process sweeps', async () => {
  const instruments = createInstruments();
  const clock = createManualClock();
  const metrics = createDynDbMetrics(instruments, clock);
  const exposition = createExposition(instruments);
  const late = async () => /^knox_dyn_db_leases_late (.*)$/m.exec((await exposition.read()).text)?.[1];
  expect(await late()).toBe('0');
  metrics.counted({ live: 9, errored: 1, due: 3, late: 2 });
  expect(await late()).toBe('2');
  clock.advance(59_999);
  expect(await late()).toBe('2');
  clock.advance(1);
  expect(await late()).toBe('0');
});
