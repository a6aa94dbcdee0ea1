import type { ApiLogEntry } from '../api-logs/index.js';
import { Histogram } from './histogram.js';

/** Of the calls of one status class. */
interface ClassCounts {
  readonly codes: Map<number, number>;
  readonly latency: Histogram;
  refused: number;
  rateLimited: number;
  /** Of a client that a route does not let in. */
  unauthorized: number;
}

export type CountedCall = Pick<ApiLogEntry, 'statusCode' | 'latencyMs' | 'error' | 'rateLimited'>;

/** What a route says to whom it does not know (dataplane.md §5.3). */
const UNAUTHORIZED: ReadonlySet<string> = new Set(['client_not_authorized', 'ip_not_allowed']);

/** What rollups hold of calls: everything that an answer is made of. Two of them add up to that of all their calls. */
export class Counts {
  /** By the hundreds of the status. */
  readonly classes = new Map<number, ClassCounts>();

  /** `calls` that are alike. */
  add(call: CountedCall, calls: number): void {
    const of = this.#of(Math.floor(call.statusCode / 100));
    of.codes.set(call.statusCode, (of.codes.get(call.statusCode) ?? 0) + calls);
    of.latency.add(call.latencyMs, calls);
    if (call.error !== null) of.refused += calls;
    if (call.rateLimited) of.rateLimited += calls;
    if (call.error !== null && UNAUTHORIZED.has(call.error)) of.unauthorized += calls;
  }

  /** All of the other, or what it has of one class. */
  merge(other: Counts, statusClass?: number): void {
    for (const [name, more] of other.classes) {
      if (statusClass !== undefined && name !== statusClass) continue;
      const of = this.#of(name);
      for (const [code, count] of more.codes) of.codes.set(code, (of.codes.get(code) ?? 0) + count);
      of.latency.merge(more.latency);
      of.refused += more.refused;
      of.rateLimited += more.rateLimited;
      of.unauthorized += more.unauthorized;
    }
  }

  get requests(): number {
    let requests = 0;
    for (const { latency } of this.classes.values()) requests += latency.total;
    return requests;
  }

  /** Of all classes together. */
  latency(): Histogram {
    const all = new Histogram();
    for (const { latency } of this.classes.values()) all.merge(latency);
    return all;
  }

  #of(statusClass: number): ClassCounts {
    const known = this.classes.get(statusClass);
    if (known) return known;
    const made = { codes: new Map(), latency: new Histogram(), refused: 0, rateLimited: 0, unauthorized: 0 };
    this.classes.set(statusClass, made);
    return made;
  }
}

/** By class: codes, latencies, refused, rate limited, of unauthorized clients. */
type Stored = Record<string, { c: [number, number][]; l: number[]; r?: number; t?: number; u?: number }>;

export function toText({ classes }: Counts): string {
  const stored: Stored = {};
  for (const [name, { codes, latency, refused, rateLimited, unauthorized }] of classes)
    stored[name] = {
      c: [...codes],
      l: latency.toJSON(),
      ...(refused > 0 && { r: refused }),
      ...(rateLimited > 0 && { t: rateLimited }),
      ...(unauthorized > 0 && { u: unauthorized }),
    };
  return JSON.stringify(stored);
}

export function fromText(text: string): Counts {
  const counts = new Counts();
  for (const [name, { c, l, r = 0, t = 0, u = 0 }] of Object.entries(JSON.parse(text) as Stored))
    counts.classes.set(Number(name), {
      codes: new Map(c),
      latency: Histogram.from(l),
      refused: r,
      rateLimited: t,
      unauthorized: u,
    });
  return counts;
}
