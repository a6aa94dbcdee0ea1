// @ts-check
// Matches regexes for the threads of requests. Plain JavaScript, so that the same file runs from the sources and from
// the build, without a loader.
import { parentPort } from 'node:worker_threads';
import { RE2JS, RE2Set } from 're2js';

/** The clock is read once in so many texts and finds. */
const CLOCK_STRIDE = 32;
const DFA_BYTES_MAX = 8 * 1024 * 1024;

/** Of a compiled program; counted repeats multiply it. */
const INSTRUCTIONS_MAX = 4096;

/** @typedef {{ all: RE2Set, each: (RE2JS | undefined)[], patterns: readonly string[] }} Compiled */
/** @type {Map<number, Compiled>} */
const sets = new Map();
const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);

/** @param {readonly string[]} patterns @returns {Compiled} */
function compile(patterns) {
  const all = new RE2Set(RE2Set.UNANCHORED, 0, DFA_BYTES_MAX);
  for (const pattern of patterns) all.add(pattern);
  all.compile();
  return { all, each: [], patterns };
}

/**
 * Finds as text, pattern, start, end, one after the other; null when the time or their number ran out.
 * @param {Compiled} compiled @param {import('./regex-pool.js').RegexQuestion} question
 */
function search(compiled, { text, ends, froms, timeMs, findsMax }) {
  const deadline = performance.now() + timeMs;
  /** @type {number[]} */
  const finds = [];
  let ticks = 0;
  let start = 0;
  for (let index = 0; index < ends.length; index++) {
    if (++ticks % CLOCK_STRIDE === 0 && performance.now() > deadline) return null;
    const part = text.slice(start, ends[index]);
    start = ends[index] ?? 0;
    for (const pattern of compiled.all.match(part)) {
      compiled.each[pattern] ??= RE2JS.compile(compiled.patterns[pattern] ?? '');
      const matcher = compiled.each[pattern].matcher(part);
      for (let found = matcher.find(froms?.[pattern] ?? 0); found; found = matcher.find()) {
        if (matcher.end() > matcher.start()) finds.push(index, pattern, matcher.start(), matcher.end());
        if (++ticks % CLOCK_STRIDE === 0 && performance.now() > deadline) return null;
        if (finds.length > 4 * findsMax) return null;
      }
    }
  }
  return performance.now() > deadline ? null : Int32Array.from(finds);
}

/** Null for what a rule may be. @param {string} pattern @returns {string | null} */
function problemOf(pattern) {
  let compiled;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error);
    return `is not a regular expression in RE2's syntax: ${reason.replace(/^error parsing regexp: /, '')}`;
  }
  if (compiled.programSize() > INSTRUCTIONS_MAX) {
    return 'is too large when its counted repeats are written out';
  }
  return compiled.matcher('').matches() ? 'matches the empty text, so it finds nothing' : null;
}

port.on(
  'message',
  (
    /** @type {import('./regex-pool.js').RegexQuestion | import('./regex-check.js').CheckQuestion} */ question,
  ) => {
    if ('check' in question) {
      for (const pattern of question.check) port.postMessage({ problem: problemOf(pattern) });
      return;
    }
    for (const id of question.forget) sets.delete(id);
    if (question.patterns) sets.set(question.set, compile(question.patterns));
    const compiled = /** @type {Compiled} */ (sets.get(question.set));
    const began = performance.now();
    const finds = search(compiled, question);
    port.postMessage({ finds, spentMs: performance.now() - began }, finds ? [finds.buffer] : []);
  },
);
port.postMessage('ready');
