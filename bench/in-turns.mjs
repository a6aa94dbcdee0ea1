// Sides under the same load in turns, and how many times as fast as another one is.
import { describe, STRANGERS_BUSY_MAX, startGenerator } from './load.mjs';
import { median, percent, spread, warn } from './report.mjs';

const SERVER_BUSY_MIN = 0.95;
const OTHERS_BUSY_MAX = 0.9;
const SPREAD_MAX = 0.15;

/**
 * `plan`: `cores`, `rounds`, `seconds` of a side in each of them, and in how many `turns` these are taken; `tell` gets lines to
 * show. All rounds get their first turns, then all their second ones: what makes the machine slow for a minute is in every
 * round, as it is in every side.
 */
export async function loadInTurns(sides, { turns = 1, ...plan }, tell) {
  const names = Object.keys(sides);
  const pids = new Set(Object.values(sides).map(({ pid }) => pid));
  const measured = Object.fromEntries(names.map((name) => [name, []]));
  const generators = {};
  try {
    for (const name of names) generators[name] = startGenerator(sides[name], plan);
    for (let turn = 0; turn < turns; turn++) {
      if (turns > 1) tell(`turn ${turn + 1} of ${turns} of each round`);
      for (let round = 0; round < plan.rounds; round++) {
        // Turned round each time, so that no side always follows the same one.
        for (const name of (turn + round) % 2 === 0 ? names : names.toReversed()) {
          runAlone(sides[name].pid, pids);
          await sides[name].prepare?.();
          measured[name][round] = await generators[name].turn({ round, seconds: plan.seconds / turns });
          if (turn === turns - 1) tell(lineOf(names, name, round, measured[name][round]));
        }
      }
    }
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    for (const generator of Object.values(generators)) generator.end();
  }
  return measured;
}

function lineOf(names, name, round, result) {
  const width = Math.max(...names.map((each) => each.length));
  return `${round + 1} ${name.padEnd(width)} ${describe(result)}`;
}

/** What a server still has to do of its own turn, jobs of its log above all, it does in its own turns. */
function runAlone(pid, pids) {
  for (const other of pids) if (other !== pid) process.kill(other, 'SIGSTOP');
  process.kill(pid, 'SIGCONT');
}

/**
 * The median of the rounds' ratios: by requests a second where the server was the bound in each round, else by what a request
 * costs of CPU. `mayWait`: it may have waited for its disk, which counts against it as its core does; others must have left it
 * that core.
 */
export function timesAsFast(rounds, peer, { mayWait = false } = {}) {
  const isServerBound = ({ serverBusy, strangersBusy }) =>
    serverBusy >= SERVER_BUSY_MIN || (mayWait && strangersBusy <= STRANGERS_BUSY_MAX);
  const counts = (round) => isServerBound(round) && round.othersBusy <= OTHERS_BUSY_MAX;
  const isBySpeed = [...peer, ...rounds].every(counts);
  const cost = (round) => (isBySpeed ? 1e6 / round.perSecond : round.serverMicrosEach);
  const ratios = rounds.map((round, at) => cost(peer[at]) / cost(round));
  const measure = isBySpeed
    ? 'by requests a second'
    : 'by CPU time a request: the generator was the bound, or others were busy';
  const basis = `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, ${measure})`;
  return { ratio: median(ratios), basis, peerSpread: spread(peer.map(cost)) };
}

export function warnOfSpread(peerSpread) {
  if (peerSpread > SPREAD_MAX)
    warn(`the peer's spread is ${percent(peerSpread)}: run again on a quiet machine`);
}
