import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import type { AppError } from '../../../../kernel/errors.js';
import { Secret } from '../../../../kernel/secret.js';
import { type HostileMongoOptions, startHostileMongo } from '../../../../testing/hostile-mongo.js';
import { onMongodb, recordingTransport, targetOf } from '../../../../testing/target-mongodb.js';
import { createTestCa } from '../../../../testing/tls-upstream.js';
import type { EngineTarget } from '../engine.js';
import { createMongoEngine } from './engine.js';

const PASSWORD = 'correct-horse-battery';
const METADATA = '169.254.169.254';
const engine = createMongoEngine(systemClock);
const never = () => new AbortController().signal;
const closers: (() => Promise<unknown> | unknown)[] = [];
let dialled: string[];

beforeEach(() => {
  dialled = [];
  const { connect } = Socket.prototype;
  // All that leaves this process by TCP goes through here, whoever asks for it.
  vi.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket, ...args: unknown[]) {
    const [options] = (Array.isArray(args[0]) ? args[0] : args) as [{ host?: string; port?: number }];
    dialled.push(`${options.host}:${options.port}`);
    return (connect as (...given: unknown[]) => Socket).apply(this, args);
  } as typeof connect);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.restoreAllMocks();
});

async function hostile(options: HostileMongoOptions) {
  const server = await startHostileMongo(options);
  closers.push(() => server.close());
  return server;
}

const target = (port: number, changes: Partial<EngineTarget> = {}): EngineTarget => ({
  host: 'db.test',
  port,
  database: 'shop',
  adminUsername: 'admin',
  adminPassword: new Secret(PASSWORD),
  sslMode: 'disable',
  sslCa: null,
  connectTimeoutMs: 1_500,
  statementTimeoutMs: 1_500,
  authSource: 'admin',
  replicaSet: null,
  ...changes,
});

async function refusalOf(to: EngineTarget, transport = recordingTransport()): Promise<AppError> {
  const startedAt = performance.now();
  const error = await engine.connect(to, transport, never()).then(
    () => expect.fail('was not refused'),
    (thrown: AppError) => thrown,
  );
  expect(performance.now() - startedAt).toBeLessThan(to.connectTimeoutMs + 1_500);
  expect(inspect(error, { depth: 12, showHidden: true })).not.toContain(PASSWORD);
  return error;
}

const elsewhere = () => dialled.filter((address) => address.includes(METADATA));

it.each([
  ['advertises-members', null],
  ['advertises-members', 'rs0'],
  ['names-another-primary', null],
] as const)('a server that %s is not followed (set %s)', async (behaviour, replicaSet) => {
  const server = await hostile({ behaviour });
  const transport = recordingTransport();
  const error = await refusalOf(target(server.port, { replicaSet }), transport);
  expect(error).toMatchObject({ type: 'database_error', reason: '18' });
  expect(new Set(transport.judged)).toEqual(new Set([`db.test:${server.port}`]));
  expect(dialled.length).toBeGreaterThan(0);
  expect(elsewhere()).toEqual([]);
});

it('a primary that may not be dialled is refused before anybody hears of the admin', async () => {
  const server = await hostile({ behaviour: 'names-another-primary' });
  const transport = recordingTransport();
  const error = await refusalOf(target(server.port, { replicaSet: 'rs0' }), transport);
  expect(error.type).toBe('ssrf_blocked');
  expect(transport.judged).toEqual([`db.test:${server.port}`, `${METADATA}:27017`]);
  expect(elsewhere()).toEqual([]);
  expect(server.received().includes('saslStart')).toBe(false);
});

it('a primary that is judged is asked whether it is one', async () => {
  const second = await hostile({ behaviour: 'names-another-primary' });
  const server = await hostile({ behaviour: 'names-another-primary', hosts: [`db-2.test:${second.port}`] });
  const transport = recordingTransport();
  const error = await refusalOf(target(server.port, { replicaSet: 'rs0' }), transport);
  expect(error.type).toBe('database_error');
  expect(transport.judged).toEqual([`db.test:${server.port}`, `db-2.test:${second.port}`]);
});

it('another set than the one that is named is refused', async () => {
  const server = await hostile({ behaviour: 'advertises-members', setName: 'rs1' });
  const error = await refusalOf(target(server.port, { replicaSet: 'rs0' }));
  expect(error).toMatchObject({ type: 'database_error', reason: 'replicaSet' });
  expect(server.received().includes('saslStart')).toBe(false);
});

it.each(['silent', 'garbage', 'floods', 'empty'] as const)(
  'a server that is %s is given up in time',
  async (behaviour) => {
    const server = await hostile({ behaviour });
    for (const replicaSet of [null, 'rs0']) {
      const error = await refusalOf(target(server.port, { replicaSet }));
      expect(['database_error', 'dependency_unavailable']).toContain(error.type);
    }
    await vi.waitFor(() => expect(server.openConnectionCount).toBe(0), 5_000);
  },
);

it('an answer without end is given up before it fills the memory, long before the time is over', async () => {
  const server = await hostile({ behaviour: 'floods' });
  const before = process.memoryUsage.rss();
  const error = await refusalOf(target(server.port, { connectTimeoutMs: 30_000 }));
  expect(error).toMatchObject({ type: 'database_error', reason: 'protocol' });
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
});

it.each(['hashes-without-end', 'hashes-without-end-at-once'] as const)(
  'a server that %s keeps no thread of the process',
  async (behaviour) => {
    const server = await hostile({ behaviour });
    const error = await refusalOf(target(server.port, { connectTimeoutMs: 30_000 }));
    expect(error).toMatchObject({ type: 'database_error', reason: 'protocol' });
    expect(server.received().includes('saslContinue')).toBe(false);
  },
);

it('compression that was not agreed on is not unpacked', async () => {
  const server = await hostile({ behaviour: 'compresses' });
  const error = await refusalOf(target(server.port, { connectTimeoutMs: 30_000 }));
  expect(error).toMatchObject({ type: 'database_error', reason: 'protocol' });
  expect(server.received().includes('saslStart')).toBe(false);
});

it('a password is never sent in clear, nor a mechanism other than SCRAM asked for', async () => {
  const server = await hostile({ behaviour: 'advertises-members' });
  await refusalOf(target(server.port));
  expect(server.received().includes('SCRAM-SHA-256')).toBe(true);
  for (const word of [PASSWORD, 'PLAIN', 'MONGODB-CR']) expect(server.received().includes(word)).toBe(false);
});

it('an address is judged although no look-up is made for it', async () => {
  const transport = recordingTransport();
  const error = await refusalOf(target(27_017, { host: METADATA }), transport);
  expect(error.type).toBe('ssrf_blocked');
  expect(dialled).toEqual([]);
});

it('nobody who listens is unavailable at once, and an end from outside is told as it is', async () => {
  const server = await hostile({ behaviour: 'silent' });
  const stop = new AbortController();
  const stopped = engine.connect(target(server.port), recordingTransport(), stop.signal);
  stop.abort(new Error('stopped'));
  await expect(stopped).rejects.toThrow('stopped');
  await server.close();
  closers.length = 0;
  expect((await refusalOf(target(server.port))).type).toBe('dependency_unavailable');
});

onMongodb((url) => {
  const behind = targetOf(url, 'knox_tls');

  /** In front of the server, which itself has no TLS here. */
  async function tlsInFront(
    names: readonly string[],
  ): Promise<{ port: number; caPem: string; seen: string[] }> {
    const ca = await createTestCa();
    const { certPem, keyPem } = await ca.issue(names);
    const seen: string[] = [];
    const server: Server = createServer({ cert: certPem, key: keyPem }, (near) => {
      seen.push(String(near.servername));
      const far = connectTcp(behind.port, behind.host);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.pipe(far).pipe(near);
      near.on('close', () => far.destroy());
    }).listen(0, '127.0.0.1');
    server.on('tlsClientError', () => {});
    await once(server, 'listening');
    closers.push(() => server.close());
    return { port: (server.address() as AddressInfo).port, caPem: ca.caPem, seen };
  }

  async function logsIn(changes: Partial<EngineTarget>): Promise<void> {
    const session = await engine.connect(
      { ...behind, host: 'db.test', connectTimeoutMs: 3_000, ...changes },
      recordingTransport(),
      never(),
    );
    await session.close();
  }

  it.each(['require', 'prefer'] as const)('%s takes any certificate, and TLS', async (sslMode) => {
    const front = await tlsInFront(['another.test']);
    await logsIn({ port: front.port, sslMode });
    expect(new Set(front.seen)).toEqual(new Set(['db.test']));
  });

  it('verify-ca and verify-full take the authority, and the name', async () => {
    const [named, other] = [await tlsInFront(['db.test']), await tlsInFront(['another.test'])];
    await logsIn({ port: named.port, sslMode: 'verify-full', sslCa: named.caPem });
    await logsIn({ port: other.port, sslMode: 'verify-ca', sslCa: other.caPem });
    const full = { ...behind, host: 'db.test', port: other.port, sslMode: 'verify-full' as const };
    expect(await refusalOf({ ...full, sslCa: other.caPem })).toMatchObject({
      type: 'database_error',
      message: expect.stringContaining('another name'),
    });
    expect(await refusalOf({ ...full, sslMode: 'verify-ca', sslCa: named.caPem })).toMatchObject({
      type: 'database_error',
      message: expect.stringContaining('unknown authority'),
    });
  });

  it('a server without TLS is refused by require, and taken by prefer', async () => {
    const plain = { ...behind, connectTimeoutMs: 3_000 };
    expect(['database_error', 'dependency_unavailable']).toContain(
      (await refusalOf({ ...plain, sslMode: 'require' })).type,
    );
    await logsIn({ sslMode: 'prefer', port: behind.port });
  });
});
