import type { ApiLogs } from '../capabilities/api-logs/index.js';
import type { KmsCall } from '../capabilities/kms/index.js';
import type { Clock } from '../kernel/clock.js';
import type { Egress } from '../platform/egress/egress.js';
import { createRequestMetrics, type RequestMetrics, type Surface } from '../platform/http/request-metrics.js';
import { type Counter, type Instruments, SECONDS_BOUNDS } from '../platform/telemetry/instruments.js';

/** Parts of the server that metrics tell apart. */
const SURFACES: readonly Surface[] = [
  { name: 'proxy', paths: ['/v1/proxy', '/wg'] },
  { name: 'route', paths: ['/proxy'] },
  { name: 'management', paths: ['/v1'] },
  { name: 'admin', paths: ['/admin'] },
  { name: 'oauth', paths: ['/oauth', '/.well-known/oauth-authorization-server'] },
  { name: 'operations', paths: ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs'] },
];

export function addBuildInfo(instruments: Instruments, version: string): void {
  const labels = { version, node: process.version };
  instruments.gauge('knox_build_info', 'Always 1; its labels say what runs.', () => 1, labels);
}

/** The same log, its calls counted by how they ended: `ok`, or the error of their row. */
export function countedCalls<Log extends Pick<ApiLogs, 'append'>>(log: Log, instruments: Instruments): Log {
  const outcomeOf = counterBy(
    instruments,
    'knox_proxy_calls_total',
    'Calls with a valid credential.',
    'outcome',
  );
  return {
    ...log,
    append(entry, beside) {
      outcomeOf(entry.error ?? 'ok').add();
      log.append(entry, beside);
    },
  };
}

/** Every request by surface, and the refusals of the egress guard by the rule that refused. */
export function serverMetrics(instruments: Instruments): RequestMetrics {
  const countRequest = createRequestMetrics(instruments, SURFACES);
  const refusalOf = counterBy(
    instruments,
    'knox_egress_refusals_total',
    'Calls that the guard refused.',
    'class',
  );
  return (method, url, response, refusal, durationMs) => {
    countRequest(method, url, response, refusal, durationMs);
    if (refusal?.reason !== undefined) refusalOf(refusal.reason).add();
  };
}

/** The same guard, its upstreams timed up to their head. */
export function measuredEgress(egress: Egress, instruments: Instruments, clock: Clock): Egress {
  const upstream = instruments.histogram(
    'knox_proxy_upstream_duration_seconds',
    'From the dial to the upstream’s headers, the request’s body included.',
    SECONDS_BOUNDS,
  );
  return {
    ...egress,
    stream(target, call, onHead) {
      const startedMs = clock.monotonicMs();
      return egress.stream(target, call, (head) => {
        upstream.observe((clock.monotonicMs() - startedMs) / 1000);
        return onHead(head);
      });
    },
  };
}

/** Attempts at the clouds' key management by how they ended, and how long they took. */
export function kmsCalls(instruments: Instruments): (call: KmsCall) => void {
  const countOf = once(({ provider, op, result }: Omit<KmsCall, 'seconds'>) =>
    instruments.counter('knox_kms_calls_total', "Attempts at a cloud's key management.", {
      provider,
      op,
      result,
    }),
  );
  const latencyOf = once(({ provider, op }: Pick<KmsCall, 'provider' | 'op'>) =>
    instruments.histogram('knox_kms_latency_seconds', 'How long they took.', SECONDS_BOUNDS, {
      provider,
      op,
    }),
  );
  return ({ provider, op, result, seconds }) => {
    countOf({ provider, op, result }).add();
    latencyOf({ provider, op }).observe(seconds);
  };
}

/** Values are error types and rules of the code: a bounded list, of which few ever happen. */
function counterBy(instruments: Instruments, name: string, help: string, label: string) {
  return once(
    (value: string): Counter => instruments.counter(name, help, { [label]: value }),
    (value) => value,
  );
}

/** One instrument for the same labels. */
function once<Labels, Instrument>(
  make: (labels: Labels) => Instrument,
  nameOf: (labels: Labels) => string = (labels) => JSON.stringify(labels),
): (labels: Labels) => Instrument {
  const made = new Map<string, Instrument>();
  return (labels) => {
    const name = nameOf(labels);
    const instrument = made.get(name) ?? make(labels);
    made.set(name, instrument);
    return instrument;
  };
}
