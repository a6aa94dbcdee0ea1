import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.js';
import { command } from '../testing/command.js';
import { startServer } from './server.js';

const dir = mkdtempSync(join(tmpdir(), 'knox-start-'));
afterAll(() => rmSync(dir, { recursive: true }));

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** Answers the first message of each connection, and ends it: a PostgreSQL that lets nobody in. */
async function refusing(answer: Buffer): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(answer));
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** ErrorResponse of the PostgreSQL protocol, version 3. */
function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
}

function run(words: string[], databaseUrl: string) {
  return command(words, {
    environment: { DATABASE_URL: databaseUrl },
    workingDir: dir,
    clock: systemClock,
    loadStartServer: async () => startServer,
  });
}

const WRONG_PASSWORD = 'password authentication failed for user "k"';
const UNKNOWN_DATABASE = 'database "k" does not exist';

it.each([
  ['28P01', WRONG_PASSWORD],
  ['3D000', UNKNOWN_DATABASE],
])('a database that refuses the log-in is told in one line: %s', async (code, message) => {
  const port = await refusing(errorResponse(code, message));
  expect(await run(['start'], `postgres://k:hunter2@127.0.0.1:${port}/k`)).toEqual({
    code: 1,
    out: '',
    error: `Cannot start: DATABASE_URL: 127.0.0.1:${port} refuses the connection: ${message} (${code})\n`,
  });
});

it('so is one that speaks no TLS', async () => {
  const port = await refusing(Buffer.from('N'));
  const { code, error } = await run(
    ['start'],
    `postgres://k:hunter2@127.0.0.1:${port}/k?sslmode=verify-full`,
  );
  expect([code, error]).toEqual([
    1,
    `Cannot start: DATABASE_URL: cannot reach 127.0.0.1:${port} (The server does not support SSL connections)\n`,
  ]);
});

it.each([
  [['start'], 'Cannot start'],
  [['jobs', 'list'], 'jobs list'],
  [['audit', 'verify'], 'Cannot verify'],
  [['tenant', 'set', 'acme', '--plan', 'pro'], 'tenant set'],
])('so is one that is not there: %j', async (words, what) => {
  expect(await run(words, 'postgres://k:hunter2@127.0.0.1:1/k')).toEqual({
    code: 1,
    out: '',
    error: `${what}: DATABASE_URL: cannot reach 127.0.0.1:1 (ECONNREFUSED)\n`,
  });
});
