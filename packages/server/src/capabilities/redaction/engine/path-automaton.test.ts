import { describe, expect, it } from 'vitest';
import { type PathStep, parseJsonPath } from '../../../kernel/json-path.js';
import { jsonPath } from '../../../testing/redaction-rules.js';
import { PathAutomaton } from './path-automaton.js';
import type { RankedRule } from './rule.js';

function automaton(...paths: string[]): PathAutomaton {
  return new PathAutomaton(
    paths.map((path, rank) => ({ rule: { rank, spec: jsonPath(path) }, steps: parseJsonPath(path) })),
  );
}

function walk(paths: PathAutomaton, ...keys: (string | number)[]): RankedRule | null {
  let state = paths.start;
  for (const key of keys) state = paths.step(state, key);
  return state.match;
}

/** Which path names the value: tried one by one, step by step. */
function named(steps: readonly PathStep[], keys: readonly (string | number)[]): boolean {
  const [step, ...rest] = steps;
  if (step === undefined) return keys.length === 0;
  const [key, ...below] = keys;
  if (key === undefined) return false;
  const fits = step.kind === 'any' || (step.kind === 'name' ? step.name === key : step.index === key);
  return (fits && named(rest, below)) || (step.deep && named(steps, below));
}

/** The same numbers at each run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

describe('PathAutomaton', () => {
  it('names what the paths name one by one, over more steps than a word has bits', () => {
    const next = numbersFrom(7);
    const stepText = ['.a', '.b', '..a', '..b', '.*', '..*', '[1]', '..[0]'];
    const paths = Array.from(
      { length: 40 },
      () => `$${Array.from({ length: 1 + next(6) }, () => stepText[next(stepText.length)]).join('')}`,
    );
    const all = automaton(...paths);
    for (let i = 0; i < 3000; i++) {
      const keys = Array.from({ length: 1 + next(8) }, () => ['a', 'b', 'c', 0, 1][next(5)]!);
      const first = paths.findIndex((path) => named(parseJsonPath(path), keys));
      expect([keys, walk(all, ...keys)?.rank ?? -1]).toEqual([keys, first]);
    }
  });

  it('reads each value at a bounded cost, however the document avoids what was met before', () => {
    const names = Array.from({ length: 32 }, (_, i) => `n${i}`);
    const next = numbersFrom(11);
    const all = automaton(
      ...Array.from({ length: 50 }, () => `$${names.map(() => `..n${next(32)}`).join('')}`),
    );
    const steps = 20_000;
    let state = all.start;
    for (let i = 0; i < steps; i++) state = i % 500 === 0 ? all.start : all.step(state, names[next(32)]!);
    // 1600 steps of paths are 50 words of bits; with as many of a name's mask, at most 7.25 characters' worth a value.
    expect(all.work / steps).toBeLessThanOrEqual(1 + 100 / 16);
    expect(all.work).toBeGreaterThan(steps);
  });

  it('reads what it has met before for nothing', () => {
    const all = automaton('$..a..b', '$.a.*.c');
    const before = () => walk(all, 'a', 'x', 'b')?.rank;
    expect(before()).toBe(0);
    const { work } = all;
    for (let i = 0; i < 100; i++) expect(before()).toBe(0);
    expect(all.work).toBe(work);
  });
});
