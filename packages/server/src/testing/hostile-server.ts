import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { IssuedCertificate } from './tls-upstream.js';

/** What a hostile database has heard. More than that nobody needs to look for a password in. */
const RECORDED_BYTES_MAX = 4 * 1024 * 1024;

/** A database on loopback that speaks just enough of its protocol to do harm, and notes all that it is told. */
export interface HostileServer {
  readonly port: number;
  /** All bytes of all connections in order of arrival; those inside TLS in clear. */
  received(): Buffer;
  readonly connectionCount: number;
  /** Those that the client has not ended. */
  readonly openConnectionCount: number;
  close(): Promise<void>;
}

export interface HostileLine {
  /** Into TLS after `startTls`. */
  write(bytes: Uint8Array | string): void;
  /** Writes what `next` gives for as long as the client takes it. */
  flood(next: () => Buffer): void;
  /** Notes bytes that were told in another form, such as under a key of the server's own. */
  note(bytes: Uint8Array): void;
  /** `rest`: what came behind the message that asks for it. */
  startTls(certificate: IssuedCertificate, rest?: Buffer): void;
  end(): void;
}

export type HostileTalk = (line: HostileLine) => { onData(bytes: Buffer): void };

export async function startHostileServer(talk: HostileTalk): Promise<HostileServer> {
  const chunks: Buffer[] = [];
  const open = new Set<Socket>();
  let recorded = 0;
  let connectionCount = 0;

  const note = (bytes: Uint8Array) => {
    const room = RECORDED_BYTES_MAX - recorded;
    if (room <= 0) return;
    chunks.push(Buffer.from(bytes.subarray(0, room)));
    recorded += chunks.at(-1)!.length;
  };

  const server = createServer((raw) => {
    connectionCount++;
    open.add(raw);
    raw.on('error', () => {}).on('close', () => open.delete(raw));
    let socket: Socket = raw;
    const hear = (bytes: Buffer) => {
      note(bytes);
      conversation.onData(bytes);
    };
    const line: HostileLine = {
      write: (bytes) => void (socket.writable && socket.write(bytes)),
      flood(next) {
        while (socket.writable && socket.write(next()));
        if (socket.writable) socket.once('drain', () => line.flood(next));
      },
      note,
      startTls({ certPem, keyPem }, rest = Buffer.alloc(0)) {
        raw.off('data', hear).pause();
        if (rest.length > 0) raw.unshift(rest);
        socket = new TLSSocket(raw, { isServer: true, cert: certPem, key: keyPem });
        socket.on('error', () => {}).on('data', hear);
      },
      end: () => void socket.end(),
    };
    const conversation = talk(line);
    if (socket === raw) raw.on('data', hear);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(chunks),
    get connectionCount() {
      return connectionCount;
    },
    get openConnectionCount() {
      return open.size;
    },
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Hands over whole messages: `lengthOf` tells the length of the first one, null while that is not known. */
export function framed(
  lengthOf: (bytes: Buffer) => number | null,
  onMessage: (message: Buffer, takeRest: () => Buffer) => void,
): (bytes: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  const takeRest = () => {
    const rest = pending;
    pending = Buffer.alloc(0);
    return rest;
  };
  return (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    for (;;) {
      const length = lengthOf(pending);
      // A client that sends no messages of this protocol is still heard by `received`.
      if (length === null || length < 1 || pending.length < length) return;
      const message = pending.subarray(0, length);
      pending = pending.subarray(length);
      onMessage(message, takeRest);
    }
  };
}

/** Bytes of no protocol, the same in every run. */
export const GARBAGE = Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 167 + 91) & 0xff));
