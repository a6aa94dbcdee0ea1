import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createManualClock } from '../../testing/manual-clock.js';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../../testing/otlp-receiver.js';
import { type ProxyFixture, REQUEST_ID, startProxyFixture } from '../../testing/proxy-fixture.js';
import { openTracing, type TracingOptions } from './otlp-tracing.js';
import type { Tracing } from './tracing.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;
const JSON_TYPE = { 'content-type': 'application/json' };

let receiver: OtlpReceiver;
let warnings: unknown[];
beforeEach(async () => {
  receiver = await startOtlpReceiver();
  warnings = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  return receiver.close();
});

function open(options: Partial<TracingOptions> = {}): Tracing {
  return openTracing({
    endpoint: receiver.url,
    sampler: 'always_on',
    ratio: 1,
    version: '9.9.9',
    clock: createManualClock(),
    logger: { warn: (fields: unknown) => warnings.push(fields) } as TracingOptions['logger'],
    ...options,
  });
}

describe('the trace of a proxied call', () => {
  let tracing: Tracing;
  let proxy: ProxyFixture;
  beforeEach(async () => {
    tracing = open();
    proxy = await startProxyFixture({ tracing });
  });

  /** What the collector has once the call is over on the server's side too. */
  async function spansOf(
    options: Parameters<ProxyFixture['call']>[0],
  ): Promise<Record<string, ReceivedSpan>> {
    await proxy.call(options);
    await proxy.close();
    await tracing.close();
    return Object.fromEntries(receiver.spans.map((span) => [span.name, span]));
  }

  it('has a span of the request and one of each step', async () => {
    const spans = await spansOf({ headers: JSON_TYPE, body: '{"card":"{{ token: cards.tok_pan }}"}' });
    const root = spans['POST /v1/proxy']!;
    expect(root).toMatchObject({ kind: 2, status: 0, links: [] });
    expect(root.parentSpanId ?? '').toBe('');
    expect(root.attributes).toEqual({
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'http.route': '/v1/proxy',
      'knox.request_id': REQUEST_ID,
      'knox.sandbox': false,
      'knox.tenant': 'acme',
      'network.protocol.version': '1.1',
      'url.scheme': 'http',
    });
    for (const step of ['authenticate', 'guard', 'scan', 'detokenize', 'render', 'send'])
      expect(spans[step]).toMatchObject({ traceId: root.traceId, parentSpanId: root.spanId, status: 0 });
    expect(spans['send']).toMatchObject({
      kind: 3,
      attributes: {
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'server.address': 'api.example.com',
        'server.port': proxy.upstreamPort,
      },
    });
    expect(receiver.resources[0]).toMatchObject({ 'service.name': 'knoxcall', 'service.version': '9.9.9' });
  });

  it('holds no path, query, header, value or key', async () => {
    await spansOf({
      path: '/v1/proxy?q=canary-query',
      headers: {
        ...JSON_TYPE,
        'x-other': 'canary-header',
        'x-knox-proxy-url': 'https://api.example.com/canary-path?c=canary-target',
      },
      body: '{"v":"canary-body {{ token: cards.tok_pan }}"}',
    });
    expect(receiver.bodies.join('')).not.toMatch(/canary|4111111111111111|tok_pan|tk_live/);
  });

  it('says what a refused call was refused for, and in which step', async () => {
    const spans = await spansOf({ headers: { 'x-knox-proxy-url': 'https://internal.example.com/' } });
    expect(spans['guard']).toMatchObject({ status: 2, attributes: { 'error.type': 'ssrf_blocked' } });
    expect(spans['POST /v1/proxy']).toMatchObject({
      // A refusal of what the caller asked is no error of ours.
      status: 0,
      attributes: { 'error.type': 'ssrf_blocked', 'http.response.status_code': 403 },
    });
    expect(spans['send']).toBeUndefined();
  });

  it('marks a failed upstream as an error', async () => {
    proxy.upstream = (request) => request.socket.destroy();
    const spans = await spansOf({});
    expect(spans['send']).toMatchObject({ status: 2, attributes: { 'error.type': 'upstream_unreachable' } });
    expect(spans['POST /v1/proxy']!.status).toBe(2);
  });

  it('links to the trace of its caller and takes no order from it', async () => {
    const spans = await spansOf({ headers: { traceparent: TRACEPARENT, tracestate: 'vendor=canary' } });
    const root = spans['POST /v1/proxy']!;
    expect(root.traceId).not.toBe(TRACE_ID);
    expect(root.links).toMatchObject([{ traceId: TRACE_ID, spanId: '00f067aa0ba902b7' }]);
    expect(receiver.bodies.join('')).not.toContain('canary');
  });

  it('is the caller’s own upstream, never ours', async () => {
    await spansOf({ headers: { traceparent: TRACEPARENT } });
    expect(proxy.seen[0]!.headers['traceparent']).toBe(TRACEPARENT);
    const { spans } = receiver;
    const sent = JSON.stringify(proxy.seen[0]!.rawHeaders);
    expect(spans.filter(({ traceId, spanId }) => sent.includes(traceId) || sent.includes(spanId))).toEqual(
      [],
    );
  });

  it.each(['', 'nonsense', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, `ff-${TRACE_ID}-00f067aa0ba902b7-01`])(
    'has no link for traceparent %j',
    async (traceparent) => {
      const spans = await spansOf({ headers: { traceparent } });
      expect(spans['POST /v1/proxy']!.links).toEqual([]);
    },
  );
});

describe('sampling', () => {
  it.each([
    ['always_off', 1, 0],
    ['traceidratio', 0, 0],
    ['traceidratio', 1, 1],
  ] as const)('%s of %d keeps %d of one request', async (sampler, ratio, kept) => {
    const tracing = open({ sampler, ratio });
    const proxy = await startProxyFixture({ tracing });
    await proxy.call({ headers: { traceparent: TRACEPARENT } });
    await proxy.close();
    await tracing.close();
    expect(receiver.spans.filter(({ name }) => name === 'POST /v1/proxy')).toHaveLength(kept);
  });
});

it('a collector that does not answer holds a stop up for 2 s at most', async () => {
  // The exporter's own patience is longer than the test's.
  vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '600000').stubEnv('OTEL_BSP_EXPORT_TIMEOUT', '600000');
  const deaf = createServer(() => {});
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const clock = createManualClock();
  const endpoint = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}/v1/traces`;
  const tracing = open({ endpoint, clock });
  const proxy = await startProxyFixture({ tracing });
  await proxy.call();
  await proxy.close();
  const closed = tracing.close();
  clock.advance(2_000);
  await closed;
  deaf.closeAllConnections();
  deaf.close();
});
