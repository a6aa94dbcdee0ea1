import { framed, GARBAGE, type HostileServer, startHostileServer } from './hostile-server.js';
import type { IssuedCertificate } from './tls-upstream.js';

export interface HostilePostgresOptions {
  readonly behaviour:
    | 'asks-cleartext-password'
    | 'asks-md5-password'
    | 'lets-in-without-password'
    | 'garbage'
    | 'silent'
    /** Says yes to TLS and ends the connection. */
    | 'ends-at-tls'
    /** Says yes to TLS, and what follows is none. */
    | 'no-tls-after-yes'
    /** Notices without end, as fast as they are read. */
    | 'floods'
    /** One message that says it is 1 GiB long, and goes on. */
    | 'floods-one-message'
    /** Lets in, then answers every query with empty rows without end. */
    | 'rows-without-end'
    /** Lets in, names a version of a megabyte, and refuses every query with 16 MB of text. */
    | 'talkative';
  /** Says yes to TLS and misbehaves inside; absent = says no to TLS. */
  readonly certificate?: IssuedCertificate;
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

export function startHostilePostgres(options: HostilePostgresOptions): Promise<HostileServer> {
  const { behaviour, certificate } = options;
  return startHostileServer((line) => {
    const misbehave = () => {
      switch (behaviour) {
        case 'asks-cleartext-password':
          return line.write(message('R', int32(3)));
        case 'asks-md5-password':
          return line.write(message('R', int32(5), Buffer.from('salt')));
        case 'talkative':
        case 'rows-without-end':
          line.write(message('S', Buffer.from(`server_version\0${`15.0 ${'<b>'.repeat(300_000)}`}\0`)));
          return line.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]));
        case 'lets-in-without-password':
          return line.write(Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))]));
        case 'floods':
          return line.flood(() => notice);
        case 'floods-one-message':
          line.write(Buffer.concat([Buffer.from('R'), int32(1024 ** 3)]));
          return line.flood(() => GARBAGE);
        default:
          return line.write(GARBAGE);
      }
    };
    const answerQuery = () => {
      if (behaviour === 'talkative') {
        const text = `SERROR\0C42501\0M${'permission denied '.repeat(1_000_000)}\0\0`;
        return line.write(Buffer.concat([message('E', Buffer.from(text)), message('Z', Buffer.from('I'))]));
      }
      line.write(message('T', Buffer.alloc(2)));
      line.flood(() => emptyRows);
    };
    const onMessage = (bytes: Buffer, takeRest: () => Buffer) => {
      const isTalking = behaviour === 'talkative' || behaviour === 'rows-without-end';
      if (isTalking && bytes[0] === 0x51) return answerQuery();
      const code = bytes.length >= 8 && bytes[0] === 0 ? bytes.readInt32BE(4) : null;
      if (code === GSS_REQUEST) return line.write('N');
      if (code !== SSL_REQUEST) return code === null ? undefined : misbehave();
      if (behaviour === 'ends-at-tls' || behaviour === 'no-tls-after-yes') {
        line.write('S');
        return behaviour === 'ends-at-tls' ? line.end() : line.write(GARBAGE);
      }
      if (!certificate) return line.write('N');
      line.write('S');
      line.startTls(certificate, takeRest());
    };
    const read = framed(lengthOf, onMessage);
    return {
      onData(bytes) {
        if (behaviour === 'garbage') line.write(GARBAGE);
        else if (behaviour !== 'silent') read(bytes);
      },
    };
  });
}

/** The first messages of a client have no type byte; all later ones do. A length has a zero at its front. */
function lengthOf(bytes: Buffer): number | null {
  const from = bytes[0] === 0 ? 0 : 1;
  return bytes.length < from + 4 ? null : from + bytes.readInt32BE(from);
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const emptyRows = Buffer.concat(Array.from({ length: 1_000 }, () => message('D', Buffer.alloc(2))));

const notice = message('N', Buffer.from(`SNOTICE\0C00000\0M${'x'.repeat(8_000)}\0\0`));
