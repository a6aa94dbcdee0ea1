import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'tests/**/*.test.ts'],
    // These need what scripts/interop.mjs installs, and say so by the variable.
    exclude: [...configDefaults.exclude, ...(process.env['TEST_INTEROP_PYTHON'] ? [] : ['tests/interop/**'])],
    globalSetup: 'packages/server/src/testing/migrate-once.ts',
    // For what hangs, not for what is slow: several suites share the cores, and kill and start servers.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Vitest leaves a core to itself, which on two cores is half of them; its own process has little to do.
    maxWorkers: Math.max(2, availableParallelism()),
  },
});
