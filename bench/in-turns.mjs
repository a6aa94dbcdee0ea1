// Sides under the same load in turns, and how many times as fast as another one is.
import { describe, STRANGERS_BUSY_MAX, startGenerator } from './load.mjs';
import { median, percent, spread, warn } from './report.mjs';

const SERVER_BUSY_MIN = 0.95;
const OTHERS_BUSY_MAX = 0.9;
const SPREAD_MAX = 0.15;

/** Of a side, before its first turn; and of each turn, before what is measured. */
const WARMUP_SECONDS = 5;
const SETTLE_SECONDS = 1;

/**
 * `plan`: `cores`, `rounds`, `seconds` of a side in each of them, and in how many `turns` these are taken; `tell` gets lines to
 * show. All rounds get their first turns, then all their second ones: what makes the machine slow for a minute is in every
 * round, as it is in every side. Always in the same order, so that each side has been stopped for as long before its turn.
 * A side's `prepare` runs before each of its turns.
 */
export async function loadInTurns(sides, { turns = 1, ...plan }, tell) {
  const names = Object.keys(sides);
  const pids = new Set(Object.values(sides).map(({ pid }) => pid));
  const measured = Object.fromEntries(names.map((name) => [name, []]));
  const generators = {};
  const take = async (name, turn) => {
    runAlone(sides[name].pid, pids);
    await sides[name].prepare?.();
    return generators[name].turn(turn);
  };
  try {
    for (const name of names) generators[name] = startGenerator(sides[name], plan);
    for (const name of names) await take(name, { round: null, settleSeconds: WARMUP_SECONDS, seconds: 0 });
    const seconds = plan.seconds / turns;
    for (let turn = 0; turn < turns; turn++) {
      if (turns > 1) tell(`turn ${turn + 1} of ${turns} of each round`);
      for (let round = 0; round < plan.rounds; round++) {
        for (const name of names) {
          measured[name][round] = await take(name, { round, settleSeconds: SETTLE_SECONDS, seconds });
          if (turn === turns - 1) tell(lineOf(names, name, round, measured[name][round]));
        }
      }
    }
  } finally {
    for (const generator of Object.values(generators)) generator.end();
    for (const pid of pids) signal(pid, 'SIGCONT');
  }
  return measured;
}

function lineOf(names, name, round, result) {
  const width = Math.max(...names.map((each) => each.length));
  return `${round + 1} ${name.padEnd(width)} ${describe(result)}`;
}

/** What a server still has to do of its own turn, jobs of its log above all, it does in its own turns. */
function runAlone(pid, pids) {
  for (const other of pids) if (other !== pid) signal(other, 'SIGSTOP');
  signal(pid, 'SIGCONT');
}

/** One that has ended is told by its generator, which has more to say of it. */
function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
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
