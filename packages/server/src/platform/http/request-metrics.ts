import type { ErrorType } from '../../kernel/errors.js';
import { type Counter, type Instruments, SECONDS_BOUNDS } from '../telemetry/instruments.js';

/** Told of each request when its answer is out or its client has gone. */
export type RequestMetrics = (
  method: string,
  url: string,
  /** `writableEnded` is false where the answer was broken off, by the client or by us. */
  response: { readonly statusCode: number; readonly writableEnded: boolean },
  /** Of the refusal, if it was one. */
  errorType: ErrorType | null,
  durationMs: number,
) => void;

/** A part of the server by the beginning of its paths; the first that fits counts. */
export interface Surface {
  readonly name: string;
  readonly paths: readonly string[];
}

const OTHER = 'other';
/** Callers may send any method; those that are counted apart are few. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const ABORTED = 'aborted';

/** A call costs some additions; a series is made when its first request has ended. */
export function createRequestMetrics(instruments: Instruments, surfaces: readonly Surface[]): RequestMetrics {
  const counted = [...surfaces, { name: OTHER, paths: [] }].map((surface) => ({
    ...surface,
    requests: new Map<string, Map<string, Counter>>(),
    errors: new Map<ErrorType, Counter>(),
    duration: instruments.histogram(
      'knox_http_request_duration_seconds',
      'From the request’s head to the end of its answer.',
      SECONDS_BOUNDS,
      { surface: surface.name },
    ),
  }));

  function surfaceOf(url: string): (typeof counted)[number] {
    for (const surface of counted) {
      for (const path of surface.paths) if (isBelow(url, path)) return surface;
    }
    return counted.at(-1)!;
  }

  return (method, url, { statusCode, writableEnded }, errorType, durationMs) => {
    const surface = surfaceOf(url);
    const known = METHODS.has(method) ? method : OTHER;
    const outcome = writableEnded ? (STATUS_CLASSES[Math.trunc(statusCode / 100)] ?? OTHER) : ABORTED;
    const ofMethod = kept(surface.requests, known, () => new Map<string, Counter>());
    kept(ofMethod, outcome, () =>
      instruments.counter('knox_http_requests_total', 'Requests that have ended.', {
        surface: surface.name,
        method: known,
        status: outcome,
      }),
    ).add();
    surface.duration.observe(durationMs / 1000);
    if (errorType === null) return;
    kept(surface.errors, errorType, () =>
      instruments.counter('knox_http_errors_total', 'Refusals by their type.', {
        surface: surface.name,
        type: errorType,
      }),
    ).add();
  };
}

const STATUS_CLASSES = [undefined, '1xx', '2xx', '3xx', '4xx', '5xx'];

/** `/v1/proxy` and `/v1/proxy?x` lie below `/v1/proxy`, `/v1/proxyx` does not. */
function isBelow(url: string, path: string): boolean {
  if (!url.startsWith(path)) return false;
  const next = url[path.length];
  return next === undefined || next === '/' || next === '?';
}

function kept<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
