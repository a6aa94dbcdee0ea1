import { constants, publicEncrypt } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { BSON } from 'mongodb';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from './egress-rig.js';
import { startHostileMongo } from './hostile-mongo.js';
import { startHostileMysql } from './hostile-mysql.js';
import { startHostilePostgres } from './hostile-postgres.js';
import type { HostileServer } from './hostile-server.js';
import { createTestCa } from './tls-upstream.js';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function started(starting: Promise<HostileServer>): Promise<HostileServer> {
  const server = await starting;
  open.push(server);
  return server;
}

async function dial({ port }: HostileServer): Promise<{ socket: Socket; heard(): Buffer }> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  open.push({ close: () => socket.destroy() });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'connect');
  return { socket, heard: () => Buffer.concat(chunks) };
}

const SSL_REQUEST = Buffer.from('0000000804d2162f', 'hex');

function startup(): Buffer {
  const body = Buffer.from('\0\x03\0\0user\0admin\0\0');
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([length, body]);
}

describe('a hostile PostgreSQL', () => {
  const logIn = (server: HostileServer, ssl: object | false = false) => {
    const client = new Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'admin',
      password: 'canary-password',
      ssl,
      connectionTimeoutMillis: 5_000,
    });
    client.on('error', () => {});
    open.push({ close: () => client.end() });
    return client.connect().catch((error: Error) => error);
  };

  it('gets the password of a careless client, in the clear and as MD5', async () => {
    const clear = await started(startHostilePostgres({ behaviour: 'asks-cleartext-password' }));
    void logIn(clear);
    await until(() => clear.received().includes('canary-password'));
    const md5 = await started(startHostilePostgres({ behaviour: 'asks-md5-password' }));
    void logIn(md5);
    await until(() => /md5[0-9a-f]{32}/.test(md5.received().toString('latin1')));
  });

  it('gets it inside TLS too', async () => {
    const certificate = await (await createTestCa()).issue(['localhost']);
    const server = await started(startHostilePostgres({ behaviour: 'asks-cleartext-password', certificate }));
    void logIn(server, { rejectUnauthorized: false });
    await until(() => server.received().includes('canary-password'));
  });

  it('says no to TLS, or breaks it', async () => {
    const none = await started(startHostilePostgres({ behaviour: 'asks-cleartext-password' }));
    expect(await logIn(none, { rejectUnauthorized: false })).toMatchObject({ message: /SSL/ });
    expect(none.received().equals(SSL_REQUEST)).toBe(true);
    for (const behaviour of ['ends-at-tls', 'no-tls-after-yes'] as const) {
      const broken = await started(startHostilePostgres({ behaviour }));
      expect(await logIn(broken, { rejectUnauthorized: false })).toBeInstanceOf(Error);
      expect(broken.received().includes('canary-password')).toBe(false);
    }
  });

  it('sends garbage, or nothing', async () => {
    const garbage = await started(startHostilePostgres({ behaviour: 'garbage' }));
    const first = await dial(garbage);
    first.socket.write(startup());
    await until(() => first.heard().length === 4_096);
    const silent = await started(startHostilePostgres({ behaviour: 'silent' }));
    const second = await dial(silent);
    second.socket.write(startup());
    await until(() => silent.received().equals(startup()));
    expect([second.heard().length, silent.connectionCount, silent.openConnectionCount]).toEqual([0, 1, 1]);
  });

  it('floods as long as it is read', async () => {
    for (const behaviour of ['floods', 'floods-one-message'] as const) {
      const server = await started(startHostilePostgres({ behaviour }));
      const { socket, heard } = await dial(server);
      socket.write(startup());
      await until(() => heard().length > 1_000_000);
      socket.destroy();
      await until(() => server.openConnectionCount === 0);
    }
  });
});

describe('a hostile MySQL', () => {
  const packet = (sequence: number, payload: Buffer | string) => {
    const body = Buffer.from(payload as Buffer);
    return Buffer.concat([Buffer.from([body.length & 0xff, body.length >> 8, 0, sequence]), body]);
  };
  const response = packet(1, Buffer.alloc(60, 1));

  it('names or switches to the plugin that tells the password', async () => {
    const names = await started(startHostileMysql({ behaviour: 'asks-clear-password' }));
    const first = await dial(names);
    await until(() => first.heard().includes('mysql_clear_password\0'));
    const switches = await started(startHostileMysql({ behaviour: 'switches-to-clear-password' }));
    const second = await dial(switches);
    await until(() => second.heard().includes('mysql_native_password\0'));
    second.socket.write(Buffer.concat([response, packet(3, 'canary-password\0')]));
    await until(() => second.heard().includes('mysql_clear_password\0'));
    await until(() => switches.received().includes('canary-password'));
  });

  it('reads what is sent under its own key', async () => {
    const server = await started(startHostileMysql({ behaviour: 'own-public-key' }));
    const { socket, heard } = await dial(server);
    socket.write(response);
    await until(() => heard().includes(Buffer.from([2, 0, 0, 2, 1, 4])));
    socket.write(packet(3, Buffer.from([2])));
    await until(() => heard().includes('-----END PUBLIC KEY-----'));
    const [key] = /-----BEGIN[\s\S]*-----END PUBLIC KEY-----/.exec(heard().toString('latin1'))!;
    const salt = '01234567890123456789';
    const mixed = Buffer.from('canary-password\0').map((byte, i) => byte ^ salt.charCodeAt(i));
    socket.write(packet(5, publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, mixed)));
    await until(() => server.received().includes('canary-password'));
  });

  it('asks for a file of the client', async () => {
    const server = await started(startHostileMysql({ behaviour: 'asks-local-file', fileName: '/etc/hosts' }));
    const { socket, heard } = await dial(server);
    socket.write(Buffer.concat([response, packet(0, '\x03SELECT 1')]));
    await until(() => heard().includes('\u00fb/etc/hosts', 0, 'latin1'));
  });

  it('offers TLS where it has a certificate, and hears what is inside', async () => {
    const certificate = await (await createTestCa()).issue(['localhost']);
    const server = await started(startHostileMysql({ behaviour: 'switches-to-clear-password', certificate }));
    const { socket, heard } = await dial(server);
    await until(() => heard().includes('mysql_native_password\0'));
    socket.removeAllListeners('data');
    socket.write(packet(1, Buffer.alloc(32, 1)));
    const secure = connectTls({ socket, rejectUnauthorized: false });
    await once(secure, 'secureConnect');
    secure.write(Buffer.concat([packet(2, Buffer.alloc(60, 1)), packet(4, 'canary-password\0')]));
    await until(() => server.received().includes('canary-password'));
  });

  it('sends garbage, nothing, or too much', async () => {
    const garbage = await dial(await started(startHostileMysql({ behaviour: 'garbage' })));
    await until(() => garbage.heard().length === 4_096);
    const server = await started(startHostileMysql({ behaviour: 'silent' }));
    const silent = await dial(server);
    silent.socket.write(response);
    await until(() => server.received().length === response.length);
    expect(silent.heard().length).toBe(0);
    const flood = await dial(await started(startHostileMysql({ behaviour: 'floods' })));
    flood.socket.write(response);
    await until(() => flood.heard().length > 1_000_000);
  });
});

describe('a hostile MongoDB', () => {
  const int32s = (...values: number[]) => {
    const bytes = Buffer.alloc(values.length * 4);
    for (const [i, value] of values.entries()) bytes.writeInt32LE(value, i * 4);
    return bytes;
  };
  const command = (document: BSON.Document) => {
    const body = BSON.serialize({ ...document, $db: 'admin' });
    return Buffer.concat([int32s(21 + body.length, 7, 0, 2013, 0), Buffer.from([0]), body]);
  };
  const legacyHello = () => {
    const body = BSON.serialize({ ismaster: 1, helloOk: true });
    const name = Buffer.from('admin.$cmd\0');
    const rest = Buffer.concat([int32s(0), name, int32s(0, -1), body]);
    return Buffer.concat([int32s(16 + rest.length, 8, 0, 2004), rest]);
  };
  const answer = (heard: Buffer, from: number) => BSON.deserialize(heard.subarray(from));

  it('advertises members, in both forms of the hello', async () => {
    const hosts = ['169.254.169.254:27017', '10.9.9.9:5432'];
    const server = await started(startHostileMongo({ behaviour: 'advertises-members', hosts }));
    const expected = {
      isWritablePrimary: true,
      setName: 'rs0',
      hosts: [`127.0.0.1:${server.port}`, ...hosts],
    };
    const modern = await dial(server);
    modern.socket.write(command({ hello: 1 }));
    await until(() => modern.heard().length > 21);
    expect(answer(modern.heard(), 21)).toMatchObject(expected);
    const legacy = await dial(server);
    legacy.socket.write(legacyHello());
    await until(() => legacy.heard().length > 36);
    expect(answer(legacy.heard(), 36)).toMatchObject(expected);
    expect(legacy.heard().readInt32LE(8)).toBe(8);
  });

  it('names another primary, and lets nobody in', async () => {
    const { socket, heard } = await dial(
      await started(startHostileMongo({ behaviour: 'names-another-primary' })),
    );
    socket.write(command({ hello: 1 }));
    await until(() => heard().length > 21);
    const first = heard().length;
    expect(answer(heard(), 21)).toMatchObject({ isWritablePrimary: false, primary: '169.254.169.254:27017' });
    socket.write(command({ saslStart: 1 }));
    await until(() => heard().length > first + 21);
    expect(answer(heard().subarray(first), 21)).toMatchObject({ ok: 0, code: 18 });
  });

  it('sends garbage, nothing, or too much', async () => {
    for (const [behaviour, bytes] of [
      ['garbage', 4_096],
      ['floods', 1_000_000],
    ] as const) {
      const { socket, heard } = await dial(await started(startHostileMongo({ behaviour })));
      socket.write(command({ hello: 1 }));
      await until(() => heard().length >= bytes);
    }
    const server = await started(startHostileMongo({ behaviour: 'silent' }));
    const { socket, heard } = await dial(server);
    socket.write(command({ hello: 1 }));
    await until(() => server.received().length > 21);
    expect(heard().length).toBe(0);
  });
});
