import { describe, expect, it } from 'vitest';
import { createManualClock } from '../testing/manual-clock.js';
import { startSignInSweep } from './sign-in-sweep.js';

const EVERY_MS = 600_000;

function sweep(outcomes: (boolean | Error)[]) {
  const clock = createManualClock();
  const state = { batches: 0, warnings: 0 };
  const stop = startSignInSweep({
    clock,
    logger: { warn: () => state.warnings++ },
    sessions: {
      async removeEnded() {
        state.batches++;
        const outcome = outcomes.shift() ?? false;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    },
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { state, stop, advance };
}

describe('the sweep of sign-ins', () => {
  it('takes a batch each 10 minutes, the next at once while there is more', async () => {
    const { state, advance, stop } = sweep([false, true, false]);
    await advance(EVERY_MS - 1);
    expect(state.batches).toBe(0);
    await advance(1);
    expect(state.batches).toBe(1);
    await advance(EVERY_MS);
    await advance(0);
    expect(state.batches).toBe(3);
    await stop();
  });

  it('goes on after a failure, and ends when it is stopped', async () => {
    const { state, advance, stop } = sweep([new Error('away')]);
    await advance(EVERY_MS);
    await advance(EVERY_MS);
    expect(state).toEqual({ batches: 2, warnings: 1 });
    await stop();
    await advance(EVERY_MS);
    expect(state.batches).toBe(2);
  });
});
