// What a run says of its figures, and what `--record` puts into docs/benchmarks.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { bold, dim, green, red, yellow } from '../scripts/terminal.mjs';

const missed = [];
const results = new Map();
let rows = [];

/** What is told from now on belongs to that part. */
export function beginPart(part) {
  rows = [];
  results.set(part, rows);
}

export function title(text) {
  console.log(`\n${bold(text)}`);
}

export function bar(name, value, remark, holds, wanted) {
  console.log(`  ${holds ? green('✓') : red('✗')} ${name}: ${bold(value)} ${dim(`${remark} bar ${wanted}`)}`);
  rows.push({ name, value, wanted });
  if (!holds) missed.push(name);
}

export function note(name, value, remark) {
  console.log(`  · ${name}: ${bold(value)} ${dim(`${remark} no bar`)}`);
  rows.push({ name, value, wanted: 'none' });
}

/** `rounds` of a side: how many a second, and what each cost its process. */
export function noteRate(name, rounds, unit = 'a second; CPU a request') {
  const rate = rounds.map((round) => round.perSecond);
  const cost = rounds.map((round) => round.serverMicrosEach);
  const ofCost = `${median(cost).toFixed(0)} µs ±${spreadPercent(cost)} %`;
  note(`${name}, ${unit}`, `${median(rate).toFixed(0)} ±${spreadPercent(rate)} %; ${ofCost}`, '');
}

export function skip(what, reason) {
  console.log(yellow(`  skipped${what}: ${reason}`));
}

export function warn(text) {
  console.log(yellow(`  ! ${text}`));
}

/** The exit status: 0 when every bar holds and nothing has failed. */
export function conclude({ isWhole }) {
  const all = isWhole ? missed : [...missed, 'a part that did not run'];
  console.log(all.length === 0 ? green('\nEvery bar holds.') : red(`\nMissed: ${all.join(', ')}.`));
  return all.length === 0 ? 0 : 1;
}

/** Puts the figures of the parts that ran in place of their last ones; those of other parts stay. */
export function record(path) {
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, Node ${process.versions.node}`;
  const day = new Date().toISOString().slice(0, 10);
  let text = readFileSync(path, 'utf8');
  for (const [part, figures] of results) {
    const lines = figures.map(({ name, value, wanted }) => `| ${name} | ${value} | ${wanted} |`);
    const table = ['| What | Result | Bar |', '|---|---|---|', ...lines].join('\n');
    const marked = new RegExp(`(<!-- results of ${part} -->\n)[\\s\\S]*?(\n<!-- end -->)`);
    if (!marked.test(text)) throw new Error(`${path} has no place for the results of ${part}`);
    text = text.replace(marked, (_all, before, after) => `${before}${day}, ${machine}.\n\n${table}${after}`);
  }
  writeFileSync(path, text);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

export function spreadPercent(values) {
  return ((spread(values) / 2) * 100).toFixed(0);
}

export function percent(share) {
  return `${(share * 100).toFixed(0)} %`;
}
