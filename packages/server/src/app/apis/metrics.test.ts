import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { Secret } from '../../kernel/secret.js';
import { systemIds } from '../../platform/crypto/random.js';
import { closeHttpServer, createHttpServer } from '../../platform/http/server.js';
import { createLogger } from '../../platform/log/logger.js';
import { createExposition } from '../../platform/telemetry/exposition.js';
import { createInstruments } from '../../platform/telemetry/instruments.js';
import { addBuildInfo, serverMetrics } from '../telemetry.js';
import { createMetricsApi } from './metrics.js';

const TOKEN = 'a-token-of-the-operator';

const open: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await closeHttpServer(app, systemClock, 1_000);
});

function server(options: { token?: string; hasPublicName?: boolean } = {}): FastifyInstance {
  const instruments = createInstruments();
  addBuildInfo(instruments, '9.9.9');
  const app = createHttpServer({
    logger: createLogger('error', { write: () => {} }),
    requestLog: () => {},
    ids: systemIds,
    clock: systemClock,
    metrics: serverMetrics(instruments),
  });
  open.push(app);
  app.register(
    createMetricsApi({
      exposition: createExposition(instruments),
      token: options.token === undefined ? null : new Secret(options.token),
      hasPublicName: options.hasPublicName ?? false,
    }),
  );
  return app;
}

interface Peer {
  readonly headers?: Record<string, string>;
  readonly address?: string;
}

async function read(app: FastifyInstance, { headers = {}, address = '127.0.0.1' }: Peer = {}) {
  const answer = await app.inject({
    url: '/metrics',
    headers: { host: '127.0.0.1:8787', ...headers },
    remoteAddress: address,
  });
  const isJson = String(answer.headers['content-type']).includes('json');
  return { ...answer, status: answer.statusCode, type: isJson ? answer.json().error.type : null };
}

describe('200', () => {
  it('in the Prometheus text format, kept by nobody on the way', async () => {
    const answer = await read(server());
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).toContain(`knox_build_info{version="9.9.9",node="${process.version}"} 1\n`);
  });

  it.each([
    ['127.0.0.1', '127.0.0.1:8787'],
    ['127.8.8.8', 'localhost'],
    ['::ffff:127.0.0.1', 'localhost:8787'],
    ['::1', '[::1]:8787'],
  ])('to %s by %s', async (address, host) => {
    expect((await read(server(), { address, headers: { host } })).status).toBe(200);
  });

  it('with the token, from anywhere', async () => {
    const app = server({ token: TOKEN, hasPublicName: true });
    const headers = {
      authorization: `Bearer ${TOKEN}`,
      host: 'knox.example.com',
      'x-forwarded-for': '203.0.113.9',
    };
    expect((await read(app, { address: '203.0.113.7', headers })).status).toBe(200);
  });

  it('counts the readings before it', async () => {
    const app = server();
    await read(app);
    expect((await read(app)).body).toContain(
      'knox_http_requests_total{surface="operations",method="GET",status="2xx"} 1\n',
    );
  });
});

describe('401 where a token is set', () => {
  it.each([
    ['none', {}, 'authentication_required'],
    ['another', { authorization: `Bearer ${TOKEN}x` }, 'invalid_token'],
    ['its beginning', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }, 'invalid_token'],
    ['an empty one', { authorization: 'Bearer ' }, 'invalid_token'],
    ['another scheme', { authorization: `Basic ${TOKEN}` }, 'invalid_token'],
  ])('%s', async (_name, headers, type) => {
    const answer = await read(server({ token: TOKEN }), { headers: headers as Record<string, string> });
    expect([answer.status, answer.type]).toEqual([401, type]);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(answer.body).not.toContain(TOKEN);
  });
});

describe('403 where none is set', () => {
  it.each(['203.0.113.7', '10.0.0.1', '::ffff:10.0.0.1', 'fe80::1'])('to the peer %s', async (address) => {
    const answer = await read(server(), { address });
    expect([answer.status, answer.type]).toEqual([403, 'forbidden']);
    expect(answer.body).toContain('KNOX_METRICS_TOKEN');
  });

  it.each([
    ['x-forwarded-for', '127.0.0.1'],
    ['forwarded', 'for=127.0.0.1'],
    ['via', '1.1 proxy'],
    ['x-real-ip', '127.0.0.1'],
    ['x-forwarded-host', 'localhost'],
    ['host', 'knox.example.com'],
    ['host', '[::ffff:7f00:1]:8787'],
    ['host', 'localhost.example.com'],
    ['host', '10.0.0.1:8787'],
  ])('to what a proxy on this machine passes on: %s: %s', async (name, value) => {
    expect((await read(server(), { headers: { [name]: value } })).status).toBe(403);
  });

  it('where the server has a public name, whoever asks', async () => {
    expect((await read(server({ hasPublicName: true }))).status).toBe(403);
  });

  it('to a proxy on this machine that hides itself but for its HTTP/1.0', async () => {
    const app = server();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const ask = async (version: string) => {
      const socket = connect(port, '127.0.0.1');
      socket.end(`GET /metrics HTTP/${version}\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
      return (await text(socket)).split(' ')[1];
    };
    expect([await ask('1.0'), await ask('1.1')]).toEqual(['403', '200']);
  });
});
