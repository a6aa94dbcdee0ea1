/** Cycles and floors; the finer rules on names and words are in tests/tidy.test.ts. */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'kernel-is-the-ground-floor',
      severity: 'error',
      from: { path: '^packages/server/src/kernel/' },
      to: { path: '^packages/server/src/', pathNot: '^packages/server/src/kernel/' },
    },
    {
      name: 'platform-knows-only-kernel',
      severity: 'error',
      from: { path: '^packages/server/src/platform/', pathNot: '\\.test\\.ts$|contract\\.ts$' },
      to: { path: '^packages/server/src/(capabilities|app|testing)/' },
    },
    {
      name: 'capabilities-do-not-know-the-app',
      severity: 'error',
      from: { path: '^packages/server/src/capabilities/', pathNot: '\\.test\\.ts$|contract\\.ts$' },
      to: { path: '^packages/server/src/(app|testing)/' },
    },
    {
      name: 'only-the-door-of-another-capability',
      severity: 'error',
      from: { path: '^packages/server/src/capabilities/([^/]+)/', pathNot: '\\.test\\.ts$|contract\\.ts$' },
      to: {
        path: '^packages/server/src/capabilities/[^/]+/',
        pathNot: '^packages/server/src/capabilities/($1/|[^/]+/index\\.ts$)',
      },
    },
    {
      name: 'production-does-not-import-testing',
      severity: 'error',
      from: {
        path: '^packages/server/src/',
        pathNot: '^packages/server/src/testing/|\\.test\\.ts$|contract\\.ts$',
      },
      to: { path: '^packages/server/src/testing/' },
    },
    {
      name: 'production-uses-no-development-package',
      severity: 'error',
      from: {
        path: '^packages/server/src/',
        pathNot: '^packages/server/src/testing/|\\.test\\.ts$|contract\\.ts$',
      },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
  },
};
