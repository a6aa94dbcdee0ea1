import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { createHooksApi } from '../app/apis/hooks-api.js';
import { inboundWebhookJobs } from '../capabilities/inbound-webhooks/index.js';
import { createHopMarker } from '../capabilities/proxy/index.js';
import { createHosts } from '../platform/http/hosts.js';
import { startDnsServer } from './dns-server.js';
import { createHarness, type Harness, type HarnessOptions } from './harness.js';
import { createTestCa, startTlsUpstream } from './tls-upstream.js';

const DEPLOYMENT_ID = '0badcafe';
const UPSTREAM_HOST = 'orders.example.com';
const SECRET = 'what-the-sender-signs-with';

export interface RoutedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server in this process with its `hooks` address, routes behind it and an upstream behind these. */
export interface InboundRig {
  readonly harness: Harness;
  readonly target: string;
  readonly arrived: RoutedRequest[];
  /** In place of an empty 200. */
  answer: ((request: RoutedRequest, response: ServerResponse) => void) | null;
  api(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; data: TestData; error: TestData }>;
  /** `data` of a new route to the upstream. */
  route(more?: object): Promise<TestData>;
  /** `data` of a new webhook that leads to it. */
  webhook(routeId: unknown, more?: object): Promise<TestData>;
  /** A signed request of its sender. */
  send(name: unknown, body: string, headers?: Record<string, string>, query?: string): Promise<Answered>;
  deliveries(webhookId: unknown): Promise<TestData[]>;
  /** Moves the clock on and waits for what that has set off. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: what an answer holds is the test's to say
type TestData = any;

export interface Answered {
  readonly status: number;
  readonly json: TestData;
}

export async function startInboundRig(
  options: Pick<HarnessOptions, 'open' | 'tiers'> = {},
): Promise<InboundRig> {
  const ca = await createTestCa();
  const dns = await startDnsServer({ records: { [UPSTREAM_HOST]: ['127.0.0.1'] } });
  const upstream = await startTlsUpstream({
    ca,
    names: [UPSTREAM_HOST],
    async handler(request, response) {
      const body = (await buffer(request)).toString('utf8');
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body };
      rig.arrived.push(one);
      if (rig.answer) rig.answer(one, response);
      else response.end();
    },
  });
  const harness = await createHarness({
    ...options,
    egress: { dnsServers: [dns], extraCaPem: ca.caPem, allowPrivateUpstreams: '127.0.0.0/8' },
    extend(app, { inboundWebhooks, routeProxy }) {
      const hosts = createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] });
      const entry = inboundWebhooks.entry({
        hopMarker: createHopMarker(DEPLOYMENT_ID),
        certificateHeader: null,
        routeProxy: routeProxy({ deploymentId: DEPLOYMENT_ID, certificateHeader: null }),
      });
      app.register(createHooksApi({ hosts, entry }).plugin);
    },
  });
  const { jobs, clock, tenant } = harness;
  await jobs.start(inboundWebhookJobs(harness.inboundWebhooks));
  await jobs.idle();
  let made = 0;

  const rig: InboundRig = {
    harness,
    target: `https://${UPSTREAM_HOST}:${upstream.port}`,
    arrived: [],
    answer: null,
    async api(method, path, body) {
      const { status, json } = await harness.call(method, path, { key: tenant.live, ...(body && { body }) });
      return { status, data: json['data'], error: json['error'] };
    },
    async route(more = {}) {
      const name = `route-${++made}`;
      const body = { name, slug: name, target_base_url: `${rig.target}/base`, ...more };
      const { status, data, error } = await rig.api('POST', '/v1/routes', body);
      if (status !== 201) throw new Error(JSON.stringify(error));
      return data;
    },
    async webhook(route_id, more = {}) {
      const body = { name: `in-${++made}`, format: 'github', secret: SECRET, route_id, ...more };
      const { status, data, error } = await rig.api('POST', '/v1/inbound-webhooks', body);
      if (status !== 201) throw new Error(JSON.stringify(error));
      return data;
    },
    async send(name, body, headers = {}, query = '') {
      const signature = createHmac('sha256', SECRET).update(body).digest('hex');
      const { statusCode, payload } = await harness.app.inject({
        method: 'POST',
        url: `/hooks/${tenant.slug}/${name}${query}`,
        headers: {
          'content-type': 'application/json',
          'x-hub-signature-256': `sha256=${signature}`,
          ...headers,
        },
        payload: body,
      });
      return { status: statusCode, json: JSON.parse(payload) };
    },
    async deliveries(id) {
      return (await rig.api('GET', `/v1/inbound-webhooks/${id}/deliveries`)).data;
    },
    async advance(ms) {
      clock.advance(ms);
      await harness.db.flush();
      await jobs.idle();
    },
    async close() {
      const stopped = jobs.stop(0);
      clock.advance(0);
      await stopped;
      await harness.close();
      await upstream.close();
      await dns.close();
    },
  };
  return rig;
}
