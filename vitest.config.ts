import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

// What is loaded is loaded once for all files of a worker: loading it for each would take longer than many of them do.
// Not for these, which put something else in the place of modules.
const OF_OTHER_MODULES = [
  'packages/server/src/app/apis/equal-work.test.ts',
  'packages/server/src/app/apis/oauth-api-cases.test.ts',
  'packages/server/src/app/loaded-when-needed.test.ts',
];

const shared = {
  // For what hangs, not for what is slow: several suites share the cores, and kill and start servers.
  testTimeout: 180_000,
  hookTimeout: 180_000,
  pool: 'forks',
  // Vitest leaves a core to itself, which on two cores is half of them; its own process has little to do.
  maxWorkers: Math.max(2, availableParallelism()),
} as const;

export default defineConfig({
  test: {
    ...shared,
    globalSetup: 'packages/server/src/testing/migrate-once.ts',
    projects: [
      {
        test: {
          ...shared,
          name: 'units',
          include: ['packages/*/src/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...OF_OTHER_MODULES],
          isolate: false,
        },
      },
      {
        test: {
          ...shared,
          name: 'isolated',
          include: [...OF_OTHER_MODULES, 'tests/**/*.test.ts'],
          // These need what scripts/interop.mjs installs, and say so by the variable.
          exclude: [
            ...configDefaults.exclude,
            ...(process.env['TEST_INTEROP_PYTHON'] ? [] : ['tests/interop/**']),
          ],
        },
      },
    ],
  },
});
