let due: (() => void)[] = [];

/**
 * Runs it once all that has arrived by now was worked off, with what others have put off meanwhile, in order. For writes:
 * of those that follow each other at once only the first has to wake who reads them, and that costs as much as the rest of
 * the write (docs/decisions/0104). What `task` throws is uncaught; what comes behind it runs in the next turn.
 */
export function atTurnEnd(task: () => void): void {
  if (due.push(task) === 1) setImmediate(run);
}

function run(): void {
  const tasks = due;
  due = [];
  let at = 0;
  try {
    while (at < tasks.length) tasks[at++]!();
  } finally {
    if (at < tasks.length) for (const task of tasks.slice(at)) atTurnEnd(task);
  }
}
