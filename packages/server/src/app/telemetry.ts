import type { ApiLogs } from '../capabilities/api-logs/index.js';
import type { Clock } from '../kernel/clock.js';
import { isAppError } from '../kernel/errors.js';
import type { Egress } from '../platform/egress/egress.js';
import type { Surface } from '../platform/http/request-metrics.js';
import { type Counter, type Instruments, SECONDS_BOUNDS } from '../platform/telemetry/instruments.js';

/** Parts of the server that metrics tell apart. */
export const SURFACES: readonly Surface[] = [
  { name: 'proxy', paths: ['/v1/proxy'] },
  { name: 'management', paths: ['/v1'] },
  { name: 'admin', paths: ['/admin'] },
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
    append(entry) {
      outcomeOf(entry.error ?? 'ok').add();
      log.append(entry);
    },
  };
}

/** The same guard, its refusals counted by rule and its upstreams by the time to their head. */
export function measuredEgress(egress: Egress, instruments: Instruments, clock: Clock): Egress {
  const refusalOf = counterBy(
    instruments,
    'knox_egress_refusals_total',
    'Calls that the guard refused.',
    'class',
  );
  const upstream = instruments.histogram(
    'knox_proxy_upstream_duration_seconds',
    'From the dial to the upstream’s headers, the request’s body included.',
    SECONDS_BOUNDS,
  );
  const count = (error: unknown): never => {
    if (isAppError(error) && error.reason !== undefined) refusalOf(error.reason).add();
    throw error;
  };
  return {
    ...egress,
    parse(rawUrl, policy) {
      try {
        return egress.parse(rawUrl, policy);
      } catch (error) {
        return count(error);
      }
    },
    judge: (url, policy, callClock) => egress.judge(url, policy, callClock).catch(count),
    stream(target, call, onHead) {
      const startedMs = clock.monotonicMs();
      const onMeasuredHead: typeof onHead = (head) => {
        upstream.observe((clock.monotonicMs() - startedMs) / 1000);
        return onHead(head);
      };
      return egress.stream(target, call, onMeasuredHead).catch(count);
    },
  };
}

/** Values are error types and rules of the code: a bounded list, of which few ever happen. */
function counterBy(instruments: Instruments, name: string, help: string, label: string) {
  const counters = new Map<string, Counter>();
  return (value: string): Counter => {
    let counter = counters.get(value);
    if (!counter) {
      counter = instruments.counter(name, help, { [label]: value });
      counters.set(value, counter);
    }
    return counter;
  };
}
