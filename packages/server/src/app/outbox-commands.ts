import { isoTime } from '../kernel/clock.js';
import { modeOf } from '../kernel/ids.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import { createOutbox, type Outbox } from '../platform/outbox/outbox.js';
import type { Delivery, ListenerStatus } from '../platform/outbox/store.js';
import { idleJobs, runOnDatabase } from './command-database.js';
import { type CommandDeps, USAGE_ERROR } from './command-deps.js';
import { textTable } from './text-table.js';

const USAGE = 'knox-server outbox list [<listener>] | outbox retry <listener>';

const DEAD_LETTERS_SHOWN_MAX = 50;

/** `outbox list [<listener>]` and `outbox retry <listener>`, by the database alone: beside a running server too. */
export async function runOutbox(words: readonly string[], deps: CommandDeps): Promise<number> {
  const { terminal, clock } = deps;
  const [verb, listener, ...more] = words;
  const isKnown = (verb === 'list' || (verb === 'retry' && listener !== undefined)) && more.length === 0;
  if (!isKnown) {
    terminal.error(`${USAGE}\n`);
    return USAGE_ERROR;
  }
  return runOnDatabase(`outbox ${verb}`, deps, async (db) => {
    const jobs = idleJobs(db, clock);
    const outbox = createOutbox({ db, clock, ids: systemIds, random: systemRandom, jobs });
    const listeners = await outbox.status();
    if (listener === undefined) terminal.out(listenerTable(listeners));
    else if (!listeners.some((known) => known.listener === listener))
      return unknownListener(listener, listeners, deps);
    else if (verb === 'list')
      terminal.out(deadLetterTable(await outbox.deadLetters(listener, DEAD_LETTERS_SHOWN_MAX)));
    else terminal.out(`${retriedText(await reviveAll(outbox, listener))}\n`);
    return 0;
  });
}

async function reviveAll(outbox: Outbox, listener: string): Promise<number> {
  let revived = 0;
  for (let batch = 1; batch > 0; revived += batch) batch = await outbox.revive(listener);
  return revived;
}

function unknownListener(
  listener: string,
  listeners: readonly ListenerStatus[],
  { terminal }: CommandDeps,
): number {
  const known = listeners.map((status) => status.listener).join(', ');
  terminal.error(
    `No event waits for a listener ${listener}. ${known ? `Some wait for: ${known}` : 'None waits at all'}\n`,
  );
  return 1;
}

function retriedText(count: number): string {
  if (count === 0) return 'There is no dead letter.';
  return `${count === 1 ? '1 event is' : `${count} events are`} tried again; a running server takes up work within a second.`;
}

function listenerTable(listeners: readonly ListenerStatus[]): string {
  const rows = listeners.map(({ listener, waiting, dead, oldestAtMs }) => [
    listener,
    String(waiting),
    String(dead),
    isoTime(oldestAtMs),
  ]);
  return textTable([['LISTENER', 'WAITING', 'DEAD', 'OLDEST'], ...rows]);
}

/** No payload: it may hold what is the tenant's alone. */
function deadLetterTable(letters: readonly Delivery[]): string {
  const rows = letters.map(({ event, attempts, error }) => [
    event.id,
    event.type,
    event.scope.tenantId,
    modeOf(event.scope),
    isoTime(event.publishedAtMs),
    String(attempts),
    error ?? '-',
  ]);
  return textTable([['EVENT', 'TYPE', 'TENANT', 'MODE', 'PUBLISHED', 'ATTEMPTS', 'LAST ERROR'], ...rows]);
}
