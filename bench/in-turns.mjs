// Sides under the same load in turns, and how many times as fast as another one is.
import { describe, load, STRANGERS_BUSY_MAX } from './load.mjs';
import { median, percent, spread, warn } from './report.mjs';

const SERVER_BUSY_MIN = 0.95;
const OTHERS_BUSY_MAX = 0.9;
const SPREAD_MAX = 0.15;

/** `plan`: `cores`, `seconds` and `rounds`; `tell` gets a line of each round. */
export async function loadInTurns(sides, plan, tell) {
  const names = Object.keys(sides);
  const width = Math.max(...names.map((name) => name.length));
  const measured = Object.fromEntries(names.map((name) => [name, []]));
  const pids = new Set(Object.values(sides).map(({ pid }) => pid));
  try {
    for (let round = 0; round < plan.rounds; round++) {
      // Interleaved, and turned round each time, so that no side always follows the same one.
      for (const name of round % 2 === 0 ? names : names.toReversed()) {
        runAlone(sides[name].pid, pids);
        await sides[name].prepare?.();
        const result = await load(sides[name], plan);
        measured[name].push(result);
        tell(`${round + 1} ${name.padEnd(width)} ${describe(result)}`);
      }
    }
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
  return measured;
}

/** What a server still has to do of its own turn, jobs of its log above all, it does in its own turns. */
function runAlone(pid, pids) {
  for (const other of pids) if (other !== pid) process.kill(other, 'SIGSTOP');
  process.kill(pid, 'SIGCONT');
}

/**
 * By requests a second where the server was the bound in each round, else by what a request costs of CPU. `mayWait`: it may
 * have waited for its disk, which counts against it as its core does; others must have left it that core.
 */
export function timesAsFast(rounds, peer, { mayWait = false } = {}) {
  const isServerBound = ({ serverBusy, strangersBusy }) =>
    serverBusy >= SERVER_BUSY_MIN || (mayWait && strangersBusy <= STRANGERS_BUSY_MAX);
  const counts = (round) => isServerBound(round) && round.othersBusy <= OTHERS_BUSY_MAX;
  const isBySpeed = [...peer, ...rounds].every(counts);
  const cost = (round) => (isBySpeed ? 1e6 / round.perSecond : round.serverMicrosEach);
  const ratio = median(peer.map(cost)) / median(rounds.map(cost));
  const basis = isBySpeed
    ? '(by requests a second)'
    : '(by CPU time a request: the generator was the bound, or others were busy)';
  return { ratio, basis, peerSpread: spread(peer.map(cost)) };
}

export function warnOfSpread(peerSpread) {
  if (peerSpread > SPREAD_MAX)
    warn(`the peer's spread is ${percent(peerSpread)}: run again on a quiet machine`);
}
