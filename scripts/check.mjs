// Every check that needs no test data: `npm run check`.
import { join } from 'node:path';
import { installEverything } from './install.mjs';
import { CommandFailed, endWith, green, ROOT, red, requireNode, run, step } from './terminal.mjs';

requireNode();
await installEverything().catch(endWith);

const bin = (name, ...args) => [join(ROOT, 'node_modules', '.bin', name), args];
const CHECKS = [
  ['Format and lint', bin('biome', 'check', '--error-on-warnings', '.')],
  ['Types', bin('tsc', '-p', 'packages/server', '--noEmit')],
  ['Types of the tests', bin('tsc', '-p', 'tests', '--noEmit')],
  ['Tidy', bin('vitest', 'run', '--reporter=dot', 'tests/tidy.test.ts')],
  ['Layers and cycles', bin('depcruise', '--config', '.dependency-cruiser.cjs', 'packages/server/src')],
  ['Dead code', bin('knip')],
  ['API description', [process.execPath, ['scripts/lint-openapi.mjs']]],
  ['Generated files', [process.execPath, ['--import', 'tsx', 'scripts/generate.mjs', '--check']]],
];

const failures = [];
for (const [title, [command, args]] of CHECKS) {
  await step(title, async () => {
    await run(command, args, { env: { ...process.env, NO_COLOR: '1' } });
  }).catch((error) => {
    failures.push({ title, output: error instanceof CommandFailed ? error.output : error.stack });
  });
}
for (const { title, output } of failures) console.log(`\n${red(title)}\n\n${output.trimEnd()}`);
console.log(
  failures.length === 0 ? green('All checks passed.') : red(`${failures.length} of ${CHECKS.length} failed.`),
);
process.exit(failures.length === 0 ? 0 : 1);
