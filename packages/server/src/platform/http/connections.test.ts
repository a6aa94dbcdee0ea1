import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { createLogger } from '../log/logger.js';
import { Counter, createInstruments, type Gauge } from '../telemetry/instruments.js';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connections.js';
import { closeHttpServer, createHttpServer } from './server.js';

const open: FastifyInstance[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const app of open.splice(0)) await closeHttpServer(app, systemClock, 1_000);
});

async function start(limits: Partial<ConnectionLimits>) {
  const clock = createManualClock();
  const instruments = createInstruments();
  const app = createHttpServer({
    logger: createLogger('error', { write: () => {} }),
    requestLog: () => {},
    ids: { uuid: () => crypto.randomUUID() },
    clock,
    instruments,
    connectionLimits: { ...CONNECTION_LIMITS, checkEveryMs: 10, ...limits },
  });
  open.push(app);
  const begun: string[] = [];
  app.addHook('onRequest', async (request) => void begun.push(request.url));
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) => body);
    scope.get('/now', async () => 'now');
    scope.get('/never', () => new Promise(() => {}));
    scope.post('/body', async () => 'taken');
    scope.post(
      '/refused',
      { onRequest: (_request, reply) => void reply.code(401).send('refused') },
      async () => '',
    );
    scope.post('/long', { config: { hasLongBody: true } }, async () => 'taken');
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const shown = (name: string) => {
    const { instrument } = instruments.families().find((family) => family.name === name)!.series[0]!;
    return instrument instanceof Counter ? instrument.value : (instrument as Gauge).read();
  };
  return { clock, shown, begun, dial: () => dial(port) };
}

interface Client {
  readonly socket: Socket;
  /** All that came, once the server has closed the connection. */
  readonly closed: Promise<string>;
  received(): string;
}

async function dial(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close').then(() => text);
  await once(socket, 'connect');
  return { socket, closed, received: () => text };
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const POST = (path: string, sent = 'half') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\n${sent}`;

describe('connections', () => {
  it('above the limit are closed at once and counted; the next finds the place of one that has gone', async () => {
    const { dial: next, shown } = await start({ connectionsMax: 2 });
    const first = await next();
    await next();
    await expect.poll(() => shown('knox_http_connections')).toBe(2);
    expect(await (await next()).closed).toBe('');
    expect(shown('knox_http_connections_refused_total')).toBe(1);
    first.socket.destroy();
    await expect.poll(() => shown('knox_http_connections')).toBe(1);
    const last = await next();
    last.socket.write(GET('/now'));
    await expect.poll(() => last.received()).toMatch(/^HTTP\/1\.1 200 /);
    expect(shown('knox_http_connections_refused_total')).toBe(1);
  });

  it('that send nothing, or half a head, are closed when the time of a head is over', async () => {
    const { dial: next } = await start({ requestHeadMs: 50 });
    const silent = await next();
    const half = await next();
    half.socket.write('GET /now HTTP/1.1\r\nHost:');
    expect(await silent.closed).toBe('');
    const answer = await half.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('The request did not come in time');
  });

  it('whose body does not come are answered and closed, unless the body goes through to somebody', async () => {
    const { dial: next, clock, begun } = await start({ requestBodyMs: 30_000 });
    const [slow, refused, unknown, long] = [await next(), await next(), await next(), await next()];
    slow.socket.write(POST('/body'));
    refused.socket.write(POST('/refused'));
    unknown.socket.write(POST('/unknown'));
    long.socket.write(POST('/long'));
    await expect.poll(() => begun.length).toBe(4);
    await expect.poll(() => refused.received()).toMatch(/^HTTP\/1\.1 401 /);
    clock.advance(29_999);
    expect(slow.received()).toBe('');
    clock.advance(1);
    expect(await slow.closed).toMatch(/^HTTP\/1\.1 400 .*The request did not come in time/s);
    for (const { closed } of [refused, unknown])
      expect((await closed).match(/HTTP\/1\.1 (\d+)/g)).toHaveLength(1);
    long.socket.write('half');
    await expect.poll(() => long.received()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('whose body came in time are left alone', async () => {
    const { dial: next, clock } = await start({ requestBodyMs: 30_000 });
    const client = await next();
    client.socket.write(POST('/body', 'complete'));
    await expect.poll(() => client.received()).toMatch(/^HTTP\/1\.1 200 /);
    clock.advance(30_000);
    client.socket.write(GET('/now'));
    await expect.poll(() => client.received().match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
  });

  it('on which a whole proxied request takes too long are closed', async () => {
    const { dial: next } = await start({ requestHeadMs: 50, requestMs: 60 });
    const client = await next();
    client.socket.write(POST('/long'));
    expect(await client.closed).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('that are idle between requests, or move no byte during one, are closed', async () => {
    const { dial: next } = await start({ keepAliveMs: 50, silentMs: 100 });
    const idle = await next();
    idle.socket.write(GET('/now'));
    const stuck = await next();
    stuck.socket.write(GET('/never'));
    expect(await idle.closed).toMatch(/^HTTP\/1\.1 200 /);
    expect(await stuck.closed).toBe('');
  });
});
