// The crash tests with the full count, and bodies of 100 MB again and again: `npm run soak [-- --points 100 --seed 7
// --bodies 20]`. Each kill is told as it comes.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './terminal.mjs';

const { values: options } = parseArgs({
  options: {
    points: { type: 'string', default: '100' },
    bodies: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
  },
});
console.log(
  `${options.points} kills a database, seed ${options.seed}; ${options.bodies} bodies of 100 MB each way`,
);
const test = spawn(
  process.execPath,
  [
    join(ROOT, 'scripts', 'test.mjs'),
    'tests/e2e/crash.test.ts',
    'tests/e2e/large-bodies.test.ts',
    `--reporter=${join(ROOT, 'scripts', 'soak-reporter.mjs')}`,
  ],
  {
    cwd: ROOT,
    env: {
      ...process.env,
      KNOX_CRASH_POINTS: options.points,
      KNOX_CRASH_SEED: options.seed,
      KNOX_LARGE_BODY_ROUNDS: options.bodies,
    },
    stdio: 'inherit',
  },
);
// The terminal sends Ctrl-C to the whole group, and what the tests have started is stopped by them.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => test.kill(signal));
test.on('close', (code) => process.exit(code ?? 1));
