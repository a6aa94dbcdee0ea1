import { assert } from '../../kernel/assert.js';

/** Label values come from lists in the code, never from callers: each pair is a series that is kept for ever. */
export type Labels = Readonly<Record<string, string>>;

/** Adding is one addition on an object that its user keeps; nothing is looked up. */
export class Counter {
  value = 0;
  add(by = 1): void {
    this.value += by;
  }
}

export class Histogram {
  sum = 0;
  readonly bounds: readonly number[];
  /** By bucket, not cumulated; the last holds what is above every bound. */
  readonly counts: number[];

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > this.bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}

export interface Gauge {
  /** Asked when the metrics are read. */
  read(): number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly series: { readonly labels: Labels; readonly instrument: Counter | Gauge | Histogram }[];
}

/** What is counted, kept apart from how it is shown: most servers count and are never asked. */
export interface Instruments {
  counter(name: string, help: string, labels?: Labels): Counter;
  histogram(name: string, help: string, bounds: readonly number[], labels?: Labels): Histogram;
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
  families(): readonly Family[];
}

export function createInstruments(): Instruments {
  const families = new Map<string, Family>();

  function addTo<I extends Counter | Gauge | Histogram>(
    { name, help, kind }: Pick<Family, 'name' | 'help' | 'kind'>,
    labels: Labels,
    instrument: I,
  ): I {
    assert(/^knox_[a-z0-9_]+$/.test(name), `a metric is not called ${name} (contract README §12)`);
    const family = families.get(name) ?? { name, help, kind, series: [] };
    assert(family.kind === kind && family.help === help, `metric ${name} is declared in two ways`);
    families.set(name, family);
    family.series.push({ labels, instrument });
    return instrument;
  }

  return {
    counter: (name, help, labels = {}) => addTo({ name, help, kind: 'counter' }, labels, new Counter()),
    histogram: (name, help, bounds, labels = {}) =>
      addTo({ name, help, kind: 'histogram' }, labels, new Histogram(bounds)),
    gauge(name, help, read, labels = {}) {
      addTo({ name, help, kind: 'gauge' }, labels, { read });
    },
    families: () => [...families.values()],
  };
}

/** From a tenth of a millisecond to the longest call there is, in seconds. */
export const SECONDS_BOUNDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;
