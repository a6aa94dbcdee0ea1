import type { IncomingMessage } from 'node:http';
import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Clock } from '../../kernel/clock.js';
import type { Caller } from '../../kernel/principal.js';
import type { Logger } from '../log/logger.js';
import type { RequestTrace, Tracing } from './tracing.js';

export interface TracingOptions {
  /** Of the collector, with its path. */
  readonly endpoint: string;
  readonly sampler: 'always_on' | 'always_off' | 'traceidratio';
  /** Share of the requests that `traceidratio` keeps, 0 to 1. */
  readonly ratio: number;
  readonly version: string;
  readonly logger: Pick<Logger, 'warn'>;
  readonly clock: Clock;
}

/** More spans than that wait for the exporter's next turn: the rest is dropped, never held up. */
const SPANS_QUEUED_MAX = 2_048;
const CLOSE_MS_MAX = 2_000;

/**
 * Loaded only where an endpoint is configured. The exporter reads its own standard variables and opens its own
 * connection, to the address that the operator named: it is no call on a tenant's behalf (docs/decisions/0040).
 */
export function openTracing(options: TracingOptions): Tracing {
  reportTo(options.logger);
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'knoxcall', 'service.version': options.version }))
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(options),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: options.endpoint }),
        maxQueueSize: SPANS_QUEUED_MAX,
      }),
    ],
  });
  const tracer = provider.getTracer('knoxcall');
  return {
    begin: (request, requestId) => new RequestSpan(tracer, request, requestId),
    close: () => withinTime(provider.shutdown(), options),
  };
}

/** A collector that does not answer must not hold up a stop; what it did not take is lost. */
function withinTime(ended: Promise<void>, { clock, logger }: TracingOptions): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(CLOSE_MS_MAX, resolve);
    ended
      .catch((error: unknown) => logger.warn({ err: error }, 'the last spans were not taken'))
      .finally(() => {
        cancel();
        resolve();
      });
  });
}

/** Every trace begins here, so that what a parent would decide is never asked. */
function samplerOf({ sampler, ratio }: TracingOptions): Sampler {
  if (sampler === 'always_off') return new AlwaysOffSampler();
  return sampler === 'always_on' ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(ratio);
}

function reportTo(logger: Pick<Logger, 'warn'>): void {
  const tell = (message: string): void => logger.warn({ detail: message.slice(0, 500) }, 'tracing');
  const silent = (): void => {};
  diag.setLogger(
    { error: tell, warn: tell, info: silent, debug: silent, verbose: silent },
    DiagLogLevel.WARN,
  );
}

/** Attributes by OpenTelemetry's semantic conventions for HTTP. No path, query, header, address or body. */
class RequestSpan implements RequestTrace {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #method: string;
  #step: Span | null = null;

  constructor(tracer: Tracer, request: IncomingMessage, requestId: string) {
    this.#tracer = tracer;
    this.#method = request.method ?? '';
    this.#span = tracer.startSpan(
      this.#method,
      {
        kind: SpanKind.SERVER,
        root: true,
        links: linksOf(request.headers['traceparent']),
        attributes: {
          'http.request.method': this.#method,
          'url.scheme': 'http',
          'network.protocol.version': request.httpVersion,
          'knox.request_id': requestId,
        },
      },
      ROOT_CONTEXT,
    );
    this.#context = trace.setSpan(ROOT_CONTEXT, this.#span);
  }

  step(name: string): void {
    this.#begin(name, SpanKind.INTERNAL, {});
  }

  stepUpstream(name: string, method: string, target: { hostname: string; port: number }): void {
    this.#begin(name, SpanKind.CLIENT, {
      'http.request.method': method,
      'server.address': target.hostname,
      'server.port': target.port,
    });
  }

  upstreamAnswered(status: number): void {
    this.#step?.setAttribute('http.response.status_code', status);
    this.#step?.addEvent('headers received');
  }

  end(
    route: string | undefined,
    response: { statusCode: number; writableEnded: boolean },
    errorType: string | null,
    caller: Caller | null,
  ): void {
    const { statusCode, writableEnded } = response;
    const failure = errorType ?? (writableEnded ? null : 'client_disconnected');
    this.#endStep(failure);
    this.#span.setAttribute('http.response.status_code', statusCode);
    if (route !== undefined) {
      this.#span.updateName(`${this.#method} ${route}`);
      this.#span.setAttribute('http.route', route);
    }
    if (caller !== null) {
      this.#span.setAttribute('knox.tenant', caller.principal.tenantSlug);
      this.#span.setAttribute('knox.sandbox', caller.principal.scope.sandbox);
    }
    if (failure !== null) this.#span.setAttribute('error.type', failure);
    // By the conventions a refusal of a caller's mistake is no error of the server's span.
    if (statusCode >= 500 || !writableEnded) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }

  #begin(name: string, kind: SpanKind, attributes: Attributes): void {
    this.#endStep(null);
    this.#step = this.#tracer.startSpan(name, { kind, attributes }, this.#context);
  }

  #endStep(failure: string | null): void {
    if (failure !== null) {
      this.#step?.setStatus({ code: SpanStatusCode.ERROR });
      this.#step?.setAttribute('error.type', failure);
    }
    this.#step?.end();
    this.#step = null;
  }
}

/** W3C Trace Context §3.2. Callers are tenants: they may say which trace of theirs this is, and decide nothing. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/;

function linksOf(traceparent: string | string[] | undefined) {
  const parts = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (parts === null) return [];
  const [, traceId = '', spanId = ''] = parts;
  return [{ context: { traceId, spanId, traceFlags: TraceFlags.NONE, isRemote: true } }];
}
