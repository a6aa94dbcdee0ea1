import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { framed, GARBAGE, type HostileServer, startHostileServer } from './hostile-server.js';
import type { IssuedCertificate } from './tls-upstream.js';

export interface HostileMysqlOptions {
  readonly behaviour: /** Its greeting names the plugin that sends the password as it is. */
    | 'asks-clear-password'
    /** Switches to that plugin after the log-in. */
    | 'switches-to-clear-password'
    /** `caching_sha2_password` with a key of its own: what comes under it is noted in clear. */
    | 'own-public-key'
    /** `sha256_password`, the same. */
    | 'switches-to-own-public-key'
    /** Lets anyone in, and answers every query by asking for a file of the client. */
    | 'asks-local-file'
    | 'garbage'
    | 'silent'
    | 'floods';
  /** Offers TLS and misbehaves inside; absent = offers none. */
  readonly certificate?: IssuedCertificate;
  /** What `asks-local-file` asks for. */
  readonly fileName?: string;
}

const CLIENT_SSL = 0x800;
/** Long password, found rows, database, local files, 4.1, transactions, secure connection, plugins, no EOF packet. */
const CAPABILITIES = 0x1 | 0x2 | 0x8 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x8_0000 | 0x100_0000;
const SALT = Buffer.from('01234567890123456789');
const SSL_REQUEST_BYTES = 32;
const COM_QUERY = 0x03;
const OK = Buffer.from([0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00]);

export function startHostileMysql(options: HostileMysqlOptions): Promise<HostileServer> {
  const { behaviour, certificate, fileName = '/etc/passwd' } = options;
  const keys = behaviour.endsWith('own-public-key') ? keyPair() : null;
  return startHostileServer((line) => {
    let hasLoggedIn = false;
    let isInTls = false;
    const reply = (sequence: number, ...parts: readonly (Buffer | string)[]) =>
      line.write(packet(sequence, Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)))));

    const onLogIn = (sequence: number) => {
      hasLoggedIn = true;
      if (behaviour === 'switches-to-clear-password')
        reply(sequence, Buffer.from([0xfe]), 'mysql_clear_password\0');
      else if (behaviour === 'switches-to-own-public-key')
        reply(sequence, Buffer.from([0xfe]), 'sha256_password\0', SALT, '\0');
      // "Perform full authentication."
      else if (behaviour === 'own-public-key') reply(sequence, Buffer.from([0x01, 0x04]));
      else if (behaviour === 'asks-local-file') reply(sequence, OK);
      else if (behaviour === 'floods') line.flood(() => packet(sequence, Buffer.alloc(8_000, 0xff)));
    };

    const onLater = (payload: Buffer, sequence: number) => {
      if (behaviour === 'asks-local-file') {
        if (payload[0] === COM_QUERY) reply(sequence, Buffer.from([0xfb]), fileName);
        return;
      }
      if (!keys) return;
      const asksForKey = payload.length === 1 && (payload[0] === 0x01 || payload[0] === 0x02);
      if (asksForKey) reply(sequence, Buffer.from([0x01]), keys.publicPem);
      else if (payload.length === keys.bytes) line.note(keys.open(payload));
    };

    const read = framed(lengthOf, (bytes, takeRest) => {
      const payload = bytes.subarray(4);
      const sequence = bytes[3]! + 1;
      if (hasLoggedIn) return onLater(payload, sequence);
      if (certificate && !isInTls && payload.length === SSL_REQUEST_BYTES) {
        isInTls = true;
        return line.startTls(certificate, takeRest());
      }
      onLogIn(sequence);
    });

    if (behaviour === 'garbage') line.write(GARBAGE);
    else if (behaviour !== 'silent') line.write(packet(0, greeting(behaviour, certificate !== undefined)));
    return { onData: behaviour === 'silent' || behaviour === 'garbage' ? () => {} : read };
  });
}

/** Protocol::HandshakeV10. */
function greeting(behaviour: HostileMysqlOptions['behaviour'], hasTls: boolean): Buffer {
  const capabilities = CAPABILITIES | (hasTls ? CLIENT_SSL : 0);
  const plugin =
    behaviour === 'asks-clear-password'
      ? 'mysql_clear_password'
      : behaviour === 'own-public-key'
        ? 'caching_sha2_password'
        : 'mysql_native_password';
  const low = Buffer.alloc(2);
  low.writeUInt16LE(capabilities & 0xffff);
  const high = Buffer.alloc(2);
  high.writeUInt16LE(capabilities >>> 16);
  return Buffer.concat([
    Buffer.from([0x0a]),
    Buffer.from('8.0.36\0'),
    Buffer.from([1, 0, 0, 0]),
    SALT.subarray(0, 8),
    Buffer.from([0]),
    low,
    Buffer.from([0x2d, 0x02, 0x00]),
    high,
    Buffer.from([SALT.length + 1]),
    Buffer.alloc(10),
    SALT.subarray(8),
    Buffer.from([0]),
    Buffer.from(`${plugin}\0`),
  ]);
}

function lengthOf(bytes: Buffer): number | null {
  return bytes.length < 4 ? null : 4 + bytes.readUIntLE(0, 3);
}

function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence & 0xff;
  return Buffer.concat([head, payload]);
}

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    bytes: 256,
    /** Under OAEP, and mixed with the salt. */
    open(encrypted: Buffer): Buffer {
      const mixed = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, encrypted);
      return mixed.map((byte, i) => byte ^ SALT[i % SALT.length]!) as Buffer;
    },
  };
}
