import type { Metric, Registry } from 'prom-client';
import { Counter, type Family, type Gauge, Histogram, type Instruments } from './instruments.js';

export interface Exposition {
  /** In the Prometheus text format. The first call also starts what observes the process: event loop, collector. */
  read(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function createExposition(instruments: Pick<Instruments, 'families'>): Exposition {
  let opening: Promise<Registry> | null = null;
  return {
    async read() {
      opening ??= openRegistry();
      const registry = await opening;
      for (const family of instruments.families()) {
        if (!registry.getSingleMetric(family.name)) registry.registerMetric(metricOf(family));
      }
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

/** Loaded by the first who asks: a server whose metrics nobody reads pays for the counting alone. */
async function openRegistry(): Promise<Registry> {
  const { default: prometheus } = await import('prom-client');
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry, prefix: 'knox_' });
  return registry;
}

interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** A registry asks a metric for its samples; ours are read where they are counted. */
function metricOf(family: Family): Metric {
  const { name, help, kind } = family;
  const get = async () => ({ name, help, type: kind, values: samplesOf(family) });
  return { name, help, get } as unknown as Metric;
}

function samplesOf({ name, series }: Family): Sample[] {
  return series.flatMap(({ labels, instrument }): Sample[] => {
    if (instrument instanceof Histogram) return bucketsOf(name, labels, instrument);
    const value = instrument instanceof Counter ? instrument.value : (instrument as Gauge).read();
    return [{ labels, value }];
  });
}

function bucketsOf(name: string, labels: Family['series'][number]['labels'], histogram: Histogram): Sample[] {
  let count = 0;
  const buckets = histogram.counts.map((counted, bucket): Sample => {
    count += counted;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: histogram.bounds[bucket] ?? '+Inf' },
      value: count,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: histogram.sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
