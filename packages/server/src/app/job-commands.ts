import { isoTime } from '../kernel/clock.js';
import type { JobKindStatus, JobStatus } from '../platform/jobs/status.js';
import { idleJobs, runOnDatabase } from './command-database.js';
import { type CommandDeps, USAGE_ERROR } from './command-deps.js';
import { textTable } from './text-table.js';

const USAGE = 'knox-server jobs list [<kind>] | jobs run <kind>';

const JOBS_SHOWN_MAX = 50;

/** `jobs list [<kind>]` and `jobs run <kind>`, by the database alone: beside a running server too. */
export async function runJobs(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, clock } = deps;
  const [verb, kind, ...more] = words;
  const isKnown = (verb === 'list' || (verb === 'run' && kind !== undefined)) && more.length === 0;
  if (!isKnown) {
    terminal.error(`${USAGE}\n`);
    return USAGE_ERROR;
  }
  return runOnDatabase(`jobs ${verb}`, deps, async (db) => {
    const jobs = idleJobs(db, clock);
    const kinds = await jobs.status();
    if (kind === undefined) terminal.out(kindTable(kinds, clock.nowMs()));
    else if (!kinds.some((known) => known.kind === kind)) return unknownKind(kind, kinds, deps);
    else if (verb === 'list') terminal.out(jobTable(await jobs.jobsOf(kind, JOBS_SHOWN_MAX)));
    else terminal.out(`${dueText(await jobs.runNow(kind))}\n`);
    return 0;
  });
}

function unknownKind(kind: string, kinds: readonly JobKindStatus[], { terminal }: CommandDeps): number {
  const known = kinds.map((status) => status.kind).join(', ');
  terminal.error(
    `There is no job kind ${kind}. ${known ? `There are: ${known}` : 'No server has run yet'}\n`,
  );
  return 1;
}

function dueText(count: number): string {
  if (count === 0) return 'Nothing waits.';
  return `${count === 1 ? '1 job is' : `${count} jobs are`} due now; a running server takes up work within a second.`;
}

function kindTable(kinds: readonly JobKindStatus[], nowMs: number): string {
  const rows = kinds.map((status) => [
    status.kind,
    status.everyMs === null ? 'on demand' : `every ${durationText(status.everyMs)}`,
    status.lastRun ? isoTime(status.lastRun.endedAtMs) : '-',
    outcomeText(status),
    status.lastRun?.durationMs == null ? '-' : durationText(status.lastRun.durationMs),
    String(status.lastRun?.rows ?? '-'),
    nextText(status, nowMs),
    status.everyMs === null ? String(status.waiting) : '-',
    String(status.errored),
  ]);
  const head = ['KIND', 'RUNS', 'LAST RUN', 'OUTCOME', 'TOOK', 'ROWS', 'NEXT RUN', 'WAITING', 'ERRORED'];
  const errors = kinds.flatMap(({ kind, lastRun }) =>
    lastRun?.error ? [`${kind}: ${lastRun.error}\n`] : [],
  );
  return `${textTable([head, ...rows])}${errors.length > 0 ? `\n${errors.join('')}` : ''}`;
}

function outcomeText({ lastRun }: JobKindStatus): string {
  if (!lastRun) return '-';
  return lastRun.error === null ? 'ok' : 'failed';
}

function nextText({ running, nextRunAtMs }: JobKindStatus, nowMs: number): string {
  if (running > 0) return 'running';
  if (nextRunAtMs === null) return '-';
  return nextRunAtMs <= nowMs ? 'due' : isoTime(nextRunAtMs);
}

function jobTable(jobs: readonly JobStatus[]): string {
  const rows = jobs.map(({ id, state, attempts, createdAtMs, runAtMs, error }) => [
    String(id),
    state,
    String(attempts),
    isoTime(createdAtMs),
    runAtMs === null ? '-' : isoTime(runAtMs),
    error ?? '-',
  ]);
  return textTable([['ID', 'STATE', 'ATTEMPTS', 'CREATED', 'RUNS AT', 'LAST ERROR'], ...rows]);
}

function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const;
  const unit = units.find(([size]) => ms >= size && ms % size === 0);
  return unit ? `${ms / unit[0]} ${unit[1]}` : `${ms} ms`;
}
