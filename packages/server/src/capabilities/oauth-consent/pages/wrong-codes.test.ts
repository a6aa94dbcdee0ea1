import { expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { createManualClock } from '../../../testing/manual-clock.js';
import { createWrongCodes } from './wrong-codes.js';

const IP = '192.0.2.7';

it('lets no more guesses through at once than one after the other, and a right one is none', async () => {
  const codes = createWrongCodes(createManualClock());
  for (let n = 0; n < 2 * LIMITS.userCodeFailuresPerMinute; n++) {
    await codes.admit(IP);
    await codes.forgive(IP);
  }
  const guesses = Array.from({ length: 12 }, () => codes.admit(IP));
  const settled = await Promise.allSettled(guesses);
  expect(settled.filter(({ status }) => status === 'fulfilled').length).toBe(
    LIMITS.userCodeFailuresPerMinute,
  );
  await expect(codes.admit('192.0.2.8')).resolves.toBeUndefined();
});
