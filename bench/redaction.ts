// Redaction of answers in one process: `redaction.ts {"documents", "events"}`; one line of JSON.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EchoGuard } from '../packages/server/src/capabilities/redaction/echo/echo-guard.js';
import { redactHead } from '../packages/server/src/capabilities/redaction/engine/plan.js';
import type { RuleSpec } from '../packages/server/src/capabilities/redaction/engine/rule.js';
import { RuleSet } from '../packages/server/src/capabilities/redaction/engine/selection.js';
import { createRegexPool } from '../packages/server/src/capabilities/redaction/regex/regex-pool.js';
import { RegexSearch } from '../packages/server/src/capabilities/redaction/regex/regex-search.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import { Secret } from '../packages/server/src/kernel/secret.js';

interface Plan {
  readonly documents: number;
  readonly events: number;
}

const DOCUMENT_BYTES = 5 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const WARMUP_DOCUMENTS = 3;
const ECHO_CALLS = 1_000;
const LOOP_RESOLUTION_MS = 1;

/** Ten of a kind that people write; a tenth of the strings holds something. */
const PATTERNS = [
  '[A-Z]{2}\\d{2}[A-Z0-9]{11,30}',
  'ACC-\\d{8}',
  '\\+\\d{2} \\d{2,4} \\d{6}',
  '(?i)(?:secret|password)[:=]\\s*\\S+',
  '\\b\\d{4}-\\d{2}-\\d{2}\\b',
  'cust_[a-z0-9]{10,}',
  '(?:foo|bar|baz)+\\d',
  '\\d{3}-\\d{3}-\\d{4}',
  '[a-f0-9]{32}',
  'pin\\s*\\d{4}',
];

const plan = JSON.parse(process.argv[2] ?? '') as Plan;
const pool = createRegexPool({ clock: systemClock });
const rules = new RuleSet(
  PATTERNS.map(
    (value, index): RuleSpec => ({
      id: String(index),
      name: value,
      enabled: true,
      target: 'response',
      match: { type: 'regex', value },
      contentTypes: null,
      routeIds: null,
      proxyModes: null,
      replacement: '[REDACTED]',
      action: 'mask',
      priority: 100,
    }),
  ),
  'ephemeral',
);

const documents = await measureDocuments();
const events = await measureEvents();
const echo = measureEcho();
await pool.close();
console.log(JSON.stringify({ documents, events, echo }));

function bodyOf(type: string): Transform {
  const head = { method: 'GET', status: 200, rawHeaders: ['content-type', type] };
  const { body } = redactHead(rules, head, {
    onRedacted: () => {},
    newSearch: (regexes) => new RegexSearch(regexes, { pool, clock: systemClock }),
    guard: null,
  });
  if (body.length !== 1) throw new Error('the rules do not cover the body');
  return body[0]!;
}

async function measureDocuments() {
  const document = Buffer.from(jsonDocument());
  const chunks = Array.from({ length: Math.ceil(document.length / CHUNK_BYTES) }, (_, i) =>
    document.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES),
  );
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  const times: number[] = [];
  for (let i = 0; i < WARMUP_DOCUMENTS + plan.documents; i++) {
    if (i === WARMUP_DOCUMENTS) delay.enable();
    const begunAt = performance.now();
    let length = 0;
    await pipeline(Readable.from(chunks), bodyOf('application/json'), async (out) => {
      for await (const part of out) length += (part as Buffer).length;
    });
    if (length === document.length) throw new Error('nothing was redacted');
    if (i >= WARMUP_DOCUMENTS) times.push(performance.now() - begunAt);
  }
  delay.disable();
  // The histogram holds the time between two timers; what is above its resolution is the delay.
  const delayMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - LOOP_RESOLUTION_MS);
  return {
    loopP99Ms: delayMs(delay.percentile(99)),
    loopMaxMs: delayMs(delay.max),
    medianMs: at(times, 0.5),
    bytes: document.length,
  };
}

/** From the write of an event to the byte that leaves, one event after the other. */
async function measureEvents() {
  const body = bodyOf('text/event-stream');
  const times: number[] = [];
  for (let i = 0; i < plan.events; i++) {
    const data = JSON.stringify({ delta: `word ${i} ACC-12345678`, usage: null });
    const begunAt = performance.now();
    const released = new Promise((resolve) => body.once('data', resolve));
    body.write(`event: delta\ndata: ${data}\n\n`);
    await released;
    times.push(performance.now() - begunAt);
  }
  body.destroy();
  return { p50Ms: at(times, 0.5), p99Ms: at(times, 0.99), maxMs: at(times, 1) };
}

/** The guard of one call over an answer without its value: made, and the whole body read. */
function measureEcho() {
  const values = [{ value: new Secret('4242424242424242'), token: 'tok_bench', isGuarded: true }];
  const document = Buffer.from(jsonDocument());
  const micros = (bytes: number) => {
    const times = Array.from({ length: ECHO_CALLS }, (_, call) => {
      const from = (call * 1024) % (document.length - bytes);
      const body = document.subarray(from, from + bytes);
      const begunAt = performance.now();
      const scanner = new EchoGuard(values).scanner('utf-8', 'json');
      if (scanner.whole(body).length !== bytes) throw new Error('something was replaced');
      return (performance.now() - begunAt) * 1_000;
    });
    return at(times.slice(ECHO_CALLS / 2), 0.5);
  };
  const [one, many] = [micros(1024), micros(257 * 1024)];
  return { microsOf1KiB: one, microsAKiB: (many - one) / 256 };
}

function jsonDocument(): string {
  const rows: string[] = [];
  let length = 2;
  for (let i = 0; length < DOCUMENT_BYTES - 1024; i++) {
    const row = JSON.stringify({
      id: i,
      title: `Order ${i} of the north depot`,
      note: i % 2 === 0 ? `see ACC-${10_000_000 + i}` : 'délivré à temps',
      sum: i * 1.07,
      mail: `p${i}@example.com`,
      place: 'Lorem ipsum dolor sit amet, consectetur adipiscing elit',
    });
    rows.push(row);
    length += Buffer.byteLength(row) + 1;
  }
  return `[${rows.join(',')}]`;
}

function at(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
