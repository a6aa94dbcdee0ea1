import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Writes counts and skip reasons to KNOX_TEST_SUMMARY, so that `npm test` can end with one line of its own. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const summary = { passed: 0, failed: unhandledErrors.length, skipped: 0, skips: [] };
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      // A file that could not be loaded has no test that could fail for it.
      summary.failed += module.errors().length;
      for (const test of module.children.allTests()) count(summary, file, test);
    }
    writeFileSync(process.env.KNOX_TEST_SUMMARY, JSON.stringify(summary));
  }
}

function count(summary, file, test) {
  const { state, note } = test.result();
  if (state === 'passed') summary.passed++;
  else if (state === 'failed') summary.failed++;
  else {
    summary.skipped++;
    const title = `${file}: ${skippedAncestor(test).fullName}${note ? ` (${note})` : ''}`;
    const known = summary.skips.find((skip) => skip.title === title);
    if (known) known.count++;
    else summary.skips.push({ title, count: 1 });
  }
}

/** The outermost suite that was skipped as a whole: its title names the reason. */
function skippedAncestor(test) {
  let outermost = test;
  for (let node = test.parent; node && node.type === 'suite'; node = node.parent) {
    if (node.options.mode === 'skip') outermost = node;
  }
  return outermost;
}
