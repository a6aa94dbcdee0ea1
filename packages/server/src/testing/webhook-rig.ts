import type { IncomingHttpHeaders, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { webhookJobs } from '../capabilities/webhooks/index.js';
import { type DialTarget, tcpDialer } from '../platform/egress/dial.js';
import { startDnsServer, type TestDnsServer } from './dns-server.js';
import { createHarness, type Harness, type HarnessOptions } from './harness.js';
import { createTestServices, type TestServices } from './services.js';
import type { TestKey } from './tenants.js';
import { createTestCa, startTlsUpstream, type TestCa } from './tls-upstream.js';

/** What a receiver got. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** In place of an empty 200. */
  answer: ((request: Received, response: ServerResponse) => void) | null;
  close(): Promise<void>;
}

export interface WebhookRig {
  readonly harness: Harness;
  readonly dns: TestDnsServer;
  readonly ca: TestCa;
  /** Every address that a connection was opened to. */
  readonly dialled: readonly string[];
  /** An HTTPS server under a name of its own, or one without TLS. */
  receiver(name: string, options?: { readonly plain?: boolean }): Promise<Receiver>;
  /** `data` of what was made. */
  make(body: Record<string, unknown>, key?: TestKey): Promise<Record<string, unknown>>;
  /** Moves the clock on and waits for what that has set off. */
  advance(ms: number): Promise<void>;
  /** Until nothing is due any more; no receiver may hang. */
  settle(): Promise<void>;
  /** Another process on the same database, nothing of it started. */
  further(): TestServices;
  logs(id: unknown): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export type WebhookRigOptions = Pick<HarnessOptions, 'open' | 'areHttpWebhooksAllowed' | 'startMs' | 'tiers'>;

/** The whole server in this process, with receivers on loopback and its webhook jobs started. */
export async function startWebhookRig(options: WebhookRigOptions = {}): Promise<WebhookRig> {
  const ca = await createTestCa();
  const dns = await startDnsServer();
  const dialled: string[] = [];
  const egress = {
    dnsServers: [dns],
    extraCaPem: ca.caPem,
    allowPrivateUpstreams: '127.0.0.0/8',
    dialer: (target: DialTarget) => {
      dialled.push(target.address);
      return tcpDialer(target);
    },
  };
  const harness = await createHarness({ ...options, egress });
  const { jobs, outbox, webhooks, clock, tenant } = harness;
  await jobs.start([...outbox.definitions(), ...webhookJobs(webhooks)]);
  await jobs.idle();
  const receivers: Receiver[] = [];

  function listenerOf(receiver: Pick<Receiver, 'received' | 'answer'>): RequestListener {
    return (request, response) => {
      const chunks: Buffer[] = [];
      request
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          const { method = '', url = '', headers } = request;
          const one = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
          receiver.received.push(one);
          if (receiver.answer) receiver.answer(one, response);
          else response.end();
        });
    };
  }

  return {
    harness,
    dns,
    ca,
    dialled,
    async receiver(name, { plain = false } = {}) {
      dns.set(name, ['127.0.0.1']);
      const state: Pick<Receiver, 'received' | 'answer'> = { received: [], answer: null };
      const server = plain ? await listen(listenerOf(state)) : await secure(listenerOf(state));
      const receiver = Object.assign(state, {
        url: `${plain ? 'http' : 'https'}://${name}:${server.port}/hook`,
        close: server.close,
      });
      receivers.push(receiver);
      return receiver;

      function secure(handler: RequestListener) {
        return startTlsUpstream({ ca, names: [name], handler });
      }
    },
    async make(body, key = tenant.live) {
      const given = { name: 'orders', event_types: ['audit.event'], ...body };
      const { status, json, text } = await harness.call('POST', '/v1/webhooks', { key, body: given });
      if (status !== 201) throw new Error(`${status} ${text}`);
      return json['data'];
    },
    async advance(ms) {
      clock.advance(ms);
      await harness.db.flush();
      await jobs.idle();
    },
    async settle() {
      for (let step = 0; step < 8; step++) {
        clock.advance(400);
        await harness.db.flush();
        await jobs.idle();
      }
    },
    further: () => createTestServices({ db: harness.db, clock, logger: harness.logger, egress }),
    async logs(id) {
      const { json } = await harness.call('GET', `/v1/webhooks/${id}/logs?per_page=100`, {
        key: tenant.live,
      });
      return json['data'];
    },
    async close() {
      const stopped = jobs.stop(0);
      clock.advance(0);
      await stopped;
      for (const { close } of receivers) await close();
      await harness.close();
      await dns.close();
    },
  };
}

async function listen(handler: RequestListener) {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
