// Lints docs/openapi.json with Redocly's recommended rules: `node scripts/lint-openapi.mjs`.
import { join } from 'node:path';
import { createConfig, formatProblems, getTotals, lint } from '@redocly/openapi-core';
import { ROOT } from './terminal.mjs';

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    // A word in a path wins over a parameter in the same place, in OpenAPI as in the server.
    'no-ambiguous-paths': 'off',
  },
});
const problems = await lint({ ref: join(ROOT, 'docs', 'openapi.json'), config });
if (problems.length > 0) formatProblems(problems, { totals: getTotals(problems), version: '' });
process.exit(problems.length === 0 ? 0 : 1);
