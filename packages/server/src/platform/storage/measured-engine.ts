import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import { isPending } from '../../kernel/promisable.js';
import { type Instruments, SECONDS_BOUNDS } from '../telemetry/instruments.js';
import { type Engine, type FileName, StatementFailure } from './engine.js';

const ROWS_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] as const;

/** The same engine, its failures, retries and group commits counted. */
export function measuredEngine(engine: Engine, instruments: Instruments, clock: Clock): Engine {
  const errorsOf = (kind: string) =>
    instruments.counter(
      'knox_database_errors_total',
      'Statements and transactions that the database failed.',
      {
        kind,
      },
    );
  const unavailable = errorsOf('unavailable');
  const refused = errorsOf('statement');
  const retries = instruments.counter(
    'knox_database_transaction_retries_total',
    'Transactions that were run again because another one came in between.',
  );
  const commitOf = (file: FileName) => ({
    rows: instruments.histogram('knox_group_commit_rows', 'Rows that shared one commit.', ROWS_BOUNDS, {
      file,
    }),
    seconds: instruments.histogram(
      'knox_group_commit_duration_seconds',
      'Time of one group commit, its sync included.',
      SECONDS_BOUNDS,
      { file },
    ),
  });
  const commits: Record<FileName, ReturnType<typeof commitOf>> = {
    main: commitOf('main'),
    log: commitOf('log'),
  };

  const count = (error: unknown): never => {
    if (isAppError(error, 'dependency_unavailable')) unavailable.add();
    else if (error instanceof StatementFailure) refused.add();
    throw error;
  };

  return {
    ...engine,
    run(statement) {
      try {
        const result = engine.run(statement);
        return isPending(result) ? result.catch(count) : result;
      } catch (error) {
        return count(error);
      }
    },
    transaction(attempt) {
      let isAgain = false;
      return engine
        .transaction((session) => {
          if (isAgain) retries.add();
          isAgain = true;
          return attempt(session);
        })
        .catch(count);
    },
    async insertGroups(file, groups) {
      const startedMs = clock.monotonicMs();
      const outcomes = await engine.insertGroups(file, groups).catch(count);
      commits[file].seconds.observe((clock.monotonicMs() - startedMs) / 1000);
      commits[file].rows.observe(groups.reduce((rows, group) => rows + group.length, 0));
      return outcomes;
    },
  };
}
