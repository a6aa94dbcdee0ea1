import type { Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import { AppError } from '../../../../kernel/errors.js';
import { Secret } from '../../../../kernel/secret.js';
import { startHostilePostgres } from '../../../../testing/hostile-postgres.js';
import { type HostileServer, startHostileServer } from '../../../../testing/hostile-server.js';
import { createTestCa, type IssuedCertificate, type TestCa } from '../../../../testing/tls-upstream.js';
import { allTextOf, dialingTransport } from '../engine.contract.js';
import type { EngineSession, EngineTarget } from '../engine.js';
import { createPostgresEngine } from './engine.js';

const PASSWORD = 'Canary0Canary1Canary2';

let ca: TestCa;
let certificate: IssuedCertificate;
const open: HostileServer[] = [];

beforeAll(async () => {
  ca = await createTestCa();
  certificate = await ca.issue(['127.0.0.1', 'localhost']);
});
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function started(starting: Promise<HostileServer>): Promise<HostileServer> {
  const server = await starting;
  open.push(server);
  return server;
}

async function logIn(server: HostileServer, changes: Partial<EngineTarget> = {}): Promise<unknown> {
  return sessionWith(server, changes).then(
    (session) => session.close(),
    (error: unknown) => error,
  );
}

function sessionWith(
  server: HostileServer,
  changes: Partial<EngineTarget> = {},
  transport = dialingTransport(),
): Promise<EngineSession> {
  const target: EngineTarget = {
    host: 'localhost',
    port: server.port,
    database: 'app',
    adminUsername: 'admin',
    adminPassword: new Secret(PASSWORD),
    sslMode: 'prefer',
    sslCa: null,
    connectTimeoutMs: 3_000,
    statementTimeoutMs: 1_000,
    authSource: null,
    replicaSet: null,
    ...changes,
  };
  const engine = createPostgresEngine(systemClock);
  return engine.connect(target, transport, new AbortController().signal);
}

function expectRefused(error: unknown, type: string, message: RegExp): void {
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ type });
  expect((error as AppError).message).toMatch(message);
  expect(allTextOf(error)).not.toContain(PASSWORD);
}

describe('a server that asks for the password', () => {
  const LEGIBLE = /asks for the password in clear or as MD5/;

  it.each(['asks-cleartext-password', 'asks-md5-password'] as const)(
    'and %s gets no answer below verify-full, with TLS or without',
    async (behaviour) => {
      const plain = await started(startHostilePostgres({ behaviour }));
      const tls = await started(startHostilePostgres({ behaviour, certificate }));
      for (const [server, changes] of [
        [plain, { sslMode: 'disable' }],
        [plain, { sslMode: 'prefer' }],
        [tls, { sslMode: 'prefer' }],
        [tls, { sslMode: 'require' }],
        [tls, { sslMode: 'require', sslCa: ca.caPem }],
        [tls, { sslMode: 'verify-ca', sslCa: ca.caPem }],
      ] as const) {
        expectRefused(await logIn(server, changes), 'database_error', LEGIBLE);
      }
      for (const server of [plain, tls]) {
        const heard = server.received().toString('latin1');
        expect(heard).toContain('admin');
        expect(heard).not.toContain('Canary');
        // The type byte of a PasswordMessage behind the start-up message.
        expect(heard).not.toMatch(/knoxcall\0.*\0\0p/s);
      }
    },
  );

  it('in clear is told it where it has proved itself', async () => {
    const server = await started(startHostilePostgres({ behaviour: 'asks-cleartext-password', certificate }));
    await logIn(server, { sslMode: 'verify-full', sslCa: ca.caPem, connectTimeoutMs: 2_000 });
    expect(server.received().toString('latin1')).toContain(PASSWORD);
  });

  it('in clear, once SCRAM has begun, gets none either', async () => {
    const ask = (code: number, text = '') => {
      const body = Buffer.concat([Buffer.from([0, 0, 0, code]), Buffer.from(text)]);
      const head = Buffer.from([0x52, 0, 0, 0, body.length + 4]);
      return Buffer.concat([head, body]);
    };
    const server = await started(
      startHostileServer((line) => ({
        onData: (bytes) => line.write(bytes[0] === 0 ? ask(10, 'SCRAM-SHA-256\0\0') : ask(3)),
      })),
    );
    const error = await logIn(server, { sslMode: 'disable' });
    expectRefused(error, 'database_error', LEGIBLE);
    expect(server.received().toString('latin1')).toContain('n,,n=');
    expect(server.received().toString('latin1')).not.toContain('Canary');
  });
});

describe('SCRAM within TLS', () => {
  const offer = (mechanisms: string) => {
    const body = Buffer.concat([Buffer.from([0, 0, 0, 10]), Buffer.from(`${mechanisms}\0`)]);
    return Buffer.concat([Buffer.from([0x52, 0, 0, 0, body.length + 4]), body]);
  };

  it.each([
    ['is bound to the certificate', 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0', 'p=tls-server-end-point,,n='],
    // A server that could bind it refuses this: somebody has taken the offer out.
    ['says that it could have been bound', 'SCRAM-SHA-256\0', 'y,,n='],
  ])('%s', async (_, mechanisms, expected) => {
    const server = await started(
      startHostileServer((line) => ({
        onData(bytes) {
          if (bytes.length === 8) {
            line.write('S');
            line.startTls(certificate);
          } else if (bytes[0] === 0) line.write(offer(mechanisms));
          else line.end();
        },
      })),
    );
    await logIn(server, { sslMode: 'require' });
    expect(server.received().toString('latin1')).toContain(expected);
  });
});

describe('TLS', () => {
  it.each([
    ['require', 'does not offer TLS'],
    ['verify-full', 'does not offer TLS'],
  ] as const)('%s is not given up where the server has none', async (sslMode, message) => {
    const server = await started(startHostilePostgres({ behaviour: 'lets-in-without-password' }));
    expectRefused(await logIn(server, { sslMode }), 'database_error', new RegExp(message));
    expect(server.received()).toHaveLength(8);
  });

  it.each([
    ['an authority nobody knows', { sslMode: 'verify-ca' }, undefined],
    ['the name of another host', { sslMode: 'verify-full' }, ['db.example']],
  ] as const)('with %s is refused', async (_, changes, names) => {
    const issued = names === undefined ? certificate : await ca.issue(names);
    const server = await started(
      startHostilePostgres({ behaviour: 'asks-cleartext-password', certificate: issued }),
    );
    const sslCa = names === undefined ? null : ca.caPem;
    expectRefused(await logIn(server, { ...changes, sslCa }), 'database_error', /TLS handshake failed/);
    expect(server.received().toString('latin1')).not.toContain('admin');
  });

  it.each(['ends-at-tls', 'no-tls-after-yes'] as const)('that %s is refused', async (behaviour) => {
    const server = await started(startHostilePostgres({ behaviour }));
    expectRefused(await logIn(server, { sslMode: 'require' }), 'database_error', /TLS/);
  });

  it('by preference goes on without it, on another connection where the handshake failed', async () => {
    const none = await started(startHostilePostgres({ behaviour: 'asks-cleartext-password' }));
    expectRefused(await logIn(none), 'database_error', /in clear/);
    expect(none.connectionCount).toBe(1);
    const broken = await started(startHostilePostgres({ behaviour: 'ends-at-tls' }));
    await logIn(broken, { connectTimeoutMs: 2_000 });
    expect(broken.connectionCount).toBe(2);
    expect(broken.received().toString('latin1')).toContain('admin');
  });
});

describe('a server that', () => {
  it.each(['garbage', 'floods', 'floods-one-message', 'silent'] as const)('%s is left', async (behaviour) => {
    for (const sslMode of ['disable', 'prefer'] as const) {
      const server = await started(startHostilePostgres({ behaviour }));
      const error = await logIn(server, { sslMode, connectTimeoutMs: 1_000 });
      expectRefused(error, (error as AppError).type, /database/i);
      expect(['database_error', 'dependency_unavailable']).toContain((error as AppError).type);
    }
  });

  it('answers with rows without end is left before they fill the memory', async () => {
    const server = await started(startHostilePostgres({ behaviour: 'rows-without-end' }));
    let socket: Socket | undefined;
    const transport = dialingTransport();
    const watched = {
      ...transport,
      open: async (...to: Parameters<typeof transport.open>) => {
        socket = await transport.open(...to);
        return socket;
      },
    };
    const session = await sessionWith(server, { statementTimeoutMs: 30_000 }, watched);
    const error = await session.mintedUsers().catch((thrown: unknown) => thrown);
    expectRefused(error, 'database_error', /more than it was asked for/);
    // A row takes seven bytes there and many times as many here.
    expect(socket?.bytesRead).toBeLessThan(8 * 1024 * 1024);
    await session.close();
  });

  it('talks much is quoted briefly', async () => {
    const server = await started(startHostilePostgres({ behaviour: 'talkative' }));
    const session = await sessionWith(server);
    expect(session.serverVersion).toBe('15.0');
    const error = await session.mintedUsers().catch((thrown: unknown) => thrown);
    expectRefused(error, 'database_error', /^The database refused \(42501\): permission denied .{0,300}…$/);
    await session.close();
  });

  const BODIES = [
    Buffer.alloc(0),
    Buffer.alloc(1),
    Buffer.from('SAAAAAAA'),
    Buffer.alloc(8, 0xff),
    Buffer.from([0, 0xff, 0xff, 0]),
    Buffer.from([0x7f, 0xff, 0, 0]),
  ];
  const TYPES = Array.from('123ACcDdEGHIKkNnRSsTtVvWZ');

  it.each([
    ['before the log-in', ''],
    ['after it', '5200000008000000005a0000000549'],
  ])('breaks the protocol %s ends nothing but its connection', async (_, before) => {
    for (const type of TYPES) {
      for (const body of BODIES) {
        const length = Buffer.alloc(4);
        length.writeInt32BE(body.length + 4);
        const message = Buffer.concat([Buffer.from(type), length, body]);
        const server = await started(
          startHostileServer((line) => ({
            onData(bytes) {
              if (before !== '' && bytes[0] === 0) return line.write(Buffer.from(before, 'hex'));
              line.write(message);
              line.end();
            },
          })),
        );
        const error = await sessionWith(server, { sslMode: 'disable' })
          .then(async (session) => {
            await session.mintedUsers().finally(() => session.close());
          })
          .catch((thrown: unknown) => thrown);
        expect(['database_error', 'dependency_unavailable']).toContain((error as AppError)?.type);
        await open.pop()?.close();
      }
    }
  });

  it('counts less than a length is left', async () => {
    const server = await started(
      startHostileServer((line) => ({ onData: () => line.write(Buffer.from('5300000000', 'hex')) })),
    );
    expectRefused(
      await logIn(server, { sslMode: 'disable' }),
      'database_error',
      /does not speak the protocol/,
    );
  });
});
