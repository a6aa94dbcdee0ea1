import { type Counter, type Histogram, type Instruments, SECONDS_BOUNDS } from '../telemetry/instruments.js';

/** Why a request was refused, as far as metrics and logs tell of it: an `AppError`, or that of another shape. */
export interface Refusal {
  readonly type: string;
  /** Of the egress guard: which rule. */
  readonly reason?: string | undefined;
}

/** Told of each request when its answer is out or its client has gone. */
export type RequestMetrics = (
  method: string,
  url: string,
  /** `writableEnded` is false where the answer was broken off, by the client or by us. */
  response: { readonly statusCode: number; readonly writableEnded: boolean },
  refusal: Refusal | null,
  durationMs: number,
) => void;

/** A part of the server by the beginning of its paths; the first that fits counts. */
export interface Surface {
  readonly name: string;
  readonly paths: readonly string[];
}

interface CountedSurface extends Surface {
  /** By method, then by class of status. */
  readonly requests: Map<string, Map<string, Counter>>;
  readonly errors: Map<string, Counter>;
  readonly duration: Histogram;
}

const OTHER = 'other';
/** Callers may send any method; those that are counted apart are few. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const ABORTED = 'aborted';

/** A series is made when its first request has ended; from then on a request costs lookups in small maps. */
export function createRequestMetrics(instruments: Instruments, surfaces: readonly Surface[]): RequestMetrics {
  const counted = [...surfaces, { name: OTHER, paths: [] }].map(
    ({ name, paths }): CountedSurface => ({
      name,
      paths,
      requests: new Map(),
      errors: new Map(),
      duration: instruments.histogram(
        'knox_http_request_duration_seconds',
        'From the request’s head to the end of its answer.',
        SECONDS_BOUNDS,
        { surface: name },
      ),
    }),
  );
  const others = counted.at(-1)!;

  function surfaceOf(url: string): CountedSurface {
    for (const surface of counted) {
      for (const path of surface.paths) if (isBelow(url, path)) return surface;
    }
    return others;
  }

  function addRequests({ name, requests }: CountedSurface, method: string, status: string): Counter {
    const ofMethod = requests.get(method) ?? new Map<string, Counter>();
    requests.set(method, ofMethod);
    const labels = { surface: name, method, status };
    const counter = instruments.counter('knox_http_requests_total', 'Requests that have ended.', labels);
    ofMethod.set(status, counter);
    return counter;
  }

  function addErrors({ name, errors }: CountedSurface, type: string): Counter {
    const labels = { surface: name, type };
    const counter = instruments.counter('knox_http_errors_total', 'Refusals by their type.', labels);
    errors.set(type, counter);
    return counter;
  }

  return (givenMethod, url, response, refusal, durationMs) => {
    const surface = surfaceOf(url);
    const method = METHODS.has(givenMethod) ? givenMethod : OTHER;
    const status = response.writableEnded
      ? (STATUS_CLASSES[Math.trunc(response.statusCode / 100)] ?? OTHER)
      : ABORTED;
    const requests = surface.requests.get(method)?.get(status) ?? addRequests(surface, method, status);
    requests.add();
    surface.duration.observe(durationMs / 1000);
    if (refusal === null) return;
    const errors = surface.errors.get(refusal.type) ?? addErrors(surface, refusal.type);
    errors.add();
  };
}

const STATUS_CLASSES = [undefined, '1xx', '2xx', '3xx', '4xx', '5xx'];

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/** `/v1/proxy` and `/v1/proxy?x` lie below `/v1/proxy`, `/v1/proxyx` does not. */
function isBelow(url: string, path: string): boolean {
  if (!url.startsWith(path)) return false;
  if (url.length === path.length) return true;
  const next = url.charCodeAt(path.length);
  return next === SLASH || next === QUESTION_MARK;
}
