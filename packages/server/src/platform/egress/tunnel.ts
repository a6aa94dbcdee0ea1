import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/clock.js';
import type { IpAddress } from '../../kernel/ip-address.js';
import type { Secret } from '../../kernel/secret.js';
import { ConnectFailure } from './dial.js';
import type { Ending } from './egress.js';

/** The egress server is at fault: another one may take the call, of which nothing was sent. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure';
}

/** Where the tunnel ends: a judged address, never a name, so that the server resolves nothing. */
export interface TunnelEnd {
  readonly address: IpAddress;
  readonly text: string;
  readonly port: number;
}

export interface TunnelLogin {
  readonly username: string;
  readonly password: Secret<string>;
}

export interface TunnelWait {
  readonly ending: Ending;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

const HEAD_BYTES_MAX = 16 * 1024;
/** Answers that tell of the upstream, not of the server: RFC 1928 §6. */
const SOCKS_UNREACHED: Readonly<Record<number, string>> = {
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
};
/** The same by HTTP: of a refused connection they say 500 (Tinyproxy), 502, 503 (Squid) or a number of their own. */
const HTTP_UNREACHED_FROM = 500;

/** Has the SOCKS5 server connect (RFC 1928); with a login it is told that by RFC 1929, if it asks. */
export function tunnelBySocks(
  socket: Socket,
  end: TunnelEnd,
  login: TunnelLogin | null,
  wait: TunnelWait,
): Promise<void> {
  return handshake(socket, wait, async (talk) => {
    const greeting = await talk.ask(Buffer.from(login ? [5, 2, 0, 2] : [5, 1, 0]), exactly(2));
    if (greeting[0] !== 5) throw new ServerFailure('the server does not speak SOCKS5');
    if (greeting[1] === 2 && login) {
      const status = await talk.ask(socksLogin(login), exactly(2));
      if (status[0] !== 1 || status[1] !== 0) throw new ServerFailure('the server refuses the login');
    } else if (greeting[1] !== 0) {
      throw new ServerFailure(login ? 'the server takes no such login' : 'the server wants a login');
    }
    const reply = await talk.ask(socksConnect(end), socksReplyLength);
    if (reply[0] !== 5) throw new ServerFailure('the answer of the server is no SOCKS5');
    const code = reply[1]!;
    if (code === 0) return;
    const unreached = SOCKS_UNREACHED[code];
    if (unreached) throw new ConnectFailure('no tunnel', { cause: new Error(unreached) });
    throw new ServerFailure(`the server answers ${code}`);
  });
}

/** Has the HTTP proxy connect: RFC 9110 §9.3.6. Whatever a 2xx says of its length, the tunnel begins behind its head. */
export function tunnelByConnect(
  socket: Socket,
  end: TunnelEnd,
  login: TunnelLogin | null,
  wait: TunnelWait,
): Promise<void> {
  return handshake(socket, wait, async (talk) => {
    const head = (await talk.ask(connectRequest(end, login), headLength)).toString('latin1');
    const status = Number(/^HTTP\/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?\r\n/.exec(head)?.[1] ?? 0);
    if (status === 0) throw new ServerFailure('the answer of the server is no HTTP');
    if (status < 300) return;
    if (status >= HTTP_UNREACHED_FROM)
      throw new ConnectFailure('no tunnel', { cause: new Error(`the server answers ${status}`) });
    throw new ServerFailure(status === 407 ? 'the server refuses the login' : `the server answers ${status}`);
  });
}

function socksLogin({ username, password }: TunnelLogin): Buffer {
  const parts = [username, password.reveal()].map((text) => Buffer.from(text, 'utf8'));
  return Buffer.concat([Buffer.from([1]), ...parts.flatMap((part) => [Buffer.from([part.length]), part])]);
}

function socksConnect({ address, port }: TunnelEnd): Buffer {
  const kind = address.family === 4 ? 1 : 4;
  return Buffer.from([5, 1, 0, kind, ...address.bytes, port >> 8, port & 0xff]);
}

function connectRequest({ address, text, port }: TunnelEnd, login: TunnelLogin | null): Buffer {
  const authority = `${address.family === 6 ? `[${text}]` : text}:${port}`;
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (login) {
    const basic = Buffer.from(`${login.username}:${login.password.reveal()}`, 'utf8').toString('base64');
    lines.push(`Proxy-Authorization: Basic ${basic}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
}

/** How long the message is that these bytes begin; null while that is not known. */
type LengthOf = (held: Buffer) => number | null;

const exactly =
  (length: number): LengthOf =>
  () =>
    length;

/** Of a refusal the first two bytes: what follows differs between servers. */
function socksReplyLength(held: Buffer): number | null {
  if (held.length < 2) return null;
  if (held[0] !== 5 || held[1] !== 0) return 2;
  if (held.length < 5) return null;
  const lengths: Readonly<Record<number, number>> = { 1: 10, 3: 7 + held[4]!, 4: 22 };
  const length = lengths[held[3]!];
  if (length === undefined) throw new ServerFailure('the answer of the server is no SOCKS5');
  return length;
}

function headLength(held: Buffer): number | null {
  const end = held.indexOf('\r\n\r\n');
  if (end !== -1) return end + 4;
  const isHttp = 'HTTP/1.'.startsWith(held.toString('latin1', 0, 7));
  if (!isHttp) throw new ServerFailure('the answer of the server is no HTTP');
  return null;
}

interface Talk {
  /** Sends, and gives one whole message. */
  ask(message: Buffer, lengthOf: LengthOf): Promise<Buffer>;
}

/** One conversation with a limit of bytes and of time. Nothing may follow its last message: the upstream speaks second. */
async function handshake(
  socket: Socket,
  { ending, clock, timeoutMs }: TunnelWait,
  speak: (talk: Talk) => Promise<void>,
): Promise<void> {
  let held: Buffer = Buffer.alloc(0);
  let failure: Error | null = null;
  let wake = () => {};
  const fail = (error: Error) => {
    failure ??= error;
    wake();
  };
  const onReadable = () => wake();
  const onError = (error: Error) => fail(new ServerFailure(error.message));
  const onClose = () => fail(new ServerFailure('the server closed the connection'));
  // Stays: between this and what comes next nobody else listens.
  socket.on('error', onError);
  socket.on('readable', onReadable).on('end', onClose).on('close', onClose);
  const leaveClock = ending.onEnd(fail);
  const cancelTimer = clock.setTimer(timeoutMs, () =>
    fail(new ServerFailure('the server does not answer in time')),
  );

  async function ask(message: Buffer, lengthOf: LengthOf): Promise<Buffer> {
    socket.write(message);
    for (;;) {
      const chunk = socket.read() as Buffer | null;
      if (chunk) held = Buffer.concat([held, chunk]);
      const length = held.length === 0 ? null : lengthOf(held);
      if (length !== null && held.length >= length) {
        const taken = held.subarray(0, length);
        held = held.subarray(length);
        return taken;
      }
      if (held.length > HEAD_BYTES_MAX) throw new ServerFailure('the answer of the server is too long');
      if (failure) throw failure;
      if (chunk) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  try {
    await speak({ ask });
    if (held.length > 0) throw new ServerFailure('the server speaks before the upstream can');
    if (failure) throw failure;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    cancelTimer();
    leaveClock();
    socket.off('readable', onReadable).off('end', onClose).off('close', onClose);
  }
}
