import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { connect as connectTls, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestCa, type TestCa } from '../../../testing/tls-upstream.js';
import { SSL_MODES, type SslMode } from './engine.js';
import { isWeakerTls, sslCaProblem, type TlsDemand, tlsPlan } from './tls.js';

let ca: TestCa;
let otherCa: TestCa;
const servers: Server[] = [];
const ports: Record<string, number> = {};

beforeAll(async () => {
  ca = await createTestCa();
  otherCa = await createTestCa('Other CA');
  await start('db.example.com', ca);
  await start('expired', ca, { expired: true });
  await start('old', ca, {}, 'TLSv1.1');
});

afterAll(() => {
  for (const server of servers) server.close();
});

async function start(name: string, by: TestCa, options = {}, maxVersion?: 'TLSv1.1'): Promise<void> {
  const { certPem, keyPem } = await by.issue(['db.example.com'], options);
  const old = maxVersion ? { maxVersion, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' } : {};
  const server = createServer({ cert: certPem, key: keyPem, ...old }, (socket) =>
    socket.on('error', () => {}).end(String(socket.servername)),
  );
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  ports[name] = (server.address() as AddressInfo).port;
}

/** The server name that the server saw, or the code of the refusal. */
async function handshake(demand: Partial<TlsDemand>, server = 'db.example.com'): Promise<string> {
  const { options } = tlsPlan({ host: 'db.example.com', sslMode: 'require', sslCa: null, ...demand });
  const raw = connectTcp(ports[server]!, '127.0.0.1');
  const socket: TLSSocket = connectTls({ socket: raw, ...options });
  try {
    await once(socket, 'secureConnect');
    const [seen] = (await once(socket, 'data')) as [Buffer];
    return seen.toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.on('error', () => {}).destroy();
    raw.destroy();
  }
}

describe('sslmode', () => {
  it.each([
    ['disable', null, { usesTls: false, fallsBack: false, verifiesChain: false, verifiesName: false }],
    ['prefer', null, { usesTls: true, fallsBack: true, verifiesChain: false, verifiesName: false }],
    ['prefer', 'ca', { usesTls: true, fallsBack: true, verifiesChain: false, verifiesName: false }],
    ['require', null, { usesTls: true, fallsBack: false, verifiesChain: false, verifiesName: false }],
    ['require', 'ca', { usesTls: true, fallsBack: false, verifiesChain: true, verifiesName: false }],
    ['verify-ca', null, { usesTls: true, fallsBack: false, verifiesChain: true, verifiesName: false }],
    ['verify-full', 'ca', { usesTls: true, fallsBack: false, verifiesChain: true, verifiesName: true }],
  ] as const)('%s with authority %s', (sslMode, given, expected) => {
    const plan = tlsPlan({ host: 'db', sslMode, sslCa: given && ca.caPem });
    expect(plan).toMatchObject({ ...expected, mayTellPassword: sslMode === 'verify-full' });
    expect(plan.options).toMatchObject({ minVersion: 'TLSv1.2', rejectUnauthorized: expected.verifiesChain });
  });

  const UNKNOWN = 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
  const OTHER_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';
  it.each([
    ['prefer', 'none', 'db.example.com', 'db.example.com'],
    ['require', 'none', 'db.example.com', 'db.example.com'],
    ['require', 'none', 'other.example.com', 'other.example.com'],
    ['require', 'own', 'other.example.com', 'other.example.com'],
    ['require', 'other', 'db.example.com', UNKNOWN],
    ['verify-ca', 'none', 'db.example.com', UNKNOWN],
    ['verify-ca', 'own', 'other.example.com', 'other.example.com'],
    ['verify-ca', 'own', '127.0.0.1', 'false'],
    ['verify-ca', 'other', 'db.example.com', UNKNOWN],
    ['verify-full', 'own', 'db.example.com', 'db.example.com'],
    ['verify-full', 'own', 'other.example.com', OTHER_NAME],
    ['verify-full', 'own', '127.0.0.1', OTHER_NAME],
    ['verify-full', 'own', '[::1]', OTHER_NAME],
    ['verify-full', 'none', 'db.example.com', UNKNOWN],
    ['verify-full', 'extra', 'db.example.com', 'db.example.com'],
    ['verify-full', 'extra', 'other.example.com', OTHER_NAME],
  ] as const)('%s by the authority "%s" as %s: %s', async (sslMode, authority, host, expected) => {
    const sslCa = { own: ca.caPem, other: otherCa.caPem, none: null, extra: null }[authority];
    const extraCa = authority === 'extra' ? ca.caPem : null;
    expect(await handshake({ sslMode, sslCa, host, extraCa })).toBe(expected);
  });

  it('refuses an expired certificate where it verifies, and TLS 1.1 everywhere', async () => {
    expect(await handshake({ sslMode: 'verify-ca', sslCa: ca.caPem }, 'expired')).toBe('CERT_HAS_EXPIRED');
    expect(await handshake({ sslMode: 'require' }, 'expired')).toBe('db.example.com');
    expect(await handshake({ sslMode: 'require' }, 'old')).toMatch(/^ERR_SSL_|ECONNRESET/);
  });

  it('is not changed by what a driver takes for the host', () => {
    const { options } = tlsPlan({ host: 'db.example.com', sslMode: 'verify-full', sslCa: ca.caPem });
    const certificate = { subject: { CN: 'x' }, subjectaltname: 'DNS:localhost' };
    expect(options.checkServerIdentity!('localhost', certificate as never)).toMatchObject({
      code: OTHER_NAME,
    });
  });
});

describe('weaker', () => {
  const weaker = (a: SslMode, aCa: string | null, b: SslMode, bCa: string | null) =>
    isWeakerTls({ sslMode: a, sslCa: aCa }, { sslMode: b, sslCa: bCa });

  it('is every mode that stands before, and no other', () => {
    for (const [i, before] of SSL_MODES.entries())
      for (const [j, after] of SSL_MODES.entries()) expect(weaker(before, null, after, null)).toBe(j < i);
  });

  it('is another authority, a first one and none; not the same one written otherwise', () => {
    expect(weaker('verify-full', ca.caPem, 'verify-full', otherCa.caPem)).toBe(true);
    expect(weaker('verify-full', null, 'verify-full', ca.caPem)).toBe(true);
    expect(weaker('verify-full', ca.caPem, 'verify-full', null)).toBe(true);
    expect(weaker('verify-full', ca.caPem, 'verify-full', `${ca.caPem}${otherCa.caPem}`)).toBe(true);
    const rewritten = `# ours\n${otherCa.caPem}\r\n${ca.caPem.replaceAll('\n', '\r\n')}`;
    expect(weaker('verify-full', `${ca.caPem}\n${otherCa.caPem}`, 'verify-full', rewritten)).toBe(false);
  });

  it('takes require with an authority for verify-ca', () => {
    expect(weaker('verify-ca', ca.caPem, 'require', ca.caPem)).toBe(false);
    expect(weaker('require', ca.caPem, 'verify-ca', ca.caPem)).toBe(false);
    expect(weaker('verify-full', ca.caPem, 'require', ca.caPem)).toBe(true);
  });
});

describe('ssl_ca', () => {
  it('is certificates and nothing else', async () => {
    expect(sslCaProblem(`# ours\n${ca.caPem}\n${otherCa.caPem}`)).toBeNull();
    const { certPem, keyPem } = await ca.issue(['db.example.com']);
    for (const text of [
      '',
      'x',
      keyPem,
      `${certPem}\n${keyPem}`,
      ca.caPem.replace(/[A-Z]{3}/, 'AAA'),
      ca.caPem.slice(0, 99),
    ])
      expect(sslCaProblem(text)).toBe('must hold certificates in PEM and nothing else');
  });
});
