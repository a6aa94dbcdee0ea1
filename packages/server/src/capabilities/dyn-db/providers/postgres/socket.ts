import type { Socket } from 'node:net';
import type { Transport } from '../../transports/transport.js';
import type { EngineTarget } from '../engine.js';
import { startTls, type TlsPlan } from '../tls.js';

/** The server refused TLS, or what it showed does not satisfy the sslmode. */
export class TlsRefused extends Error {
  override readonly name = 'TlsRefused';
}

/** PostgreSQL's SSLRequest: its length and the code 1234.5679. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** A socket on which the start-up message may go out: with TLS as the sslmode asks, as libpq does it. */
export async function openSocket(
  target: EngineTarget,
  plan: TlsPlan,
  transport: Transport,
  signal: AbortSignal,
): Promise<Socket> {
  const plain = await transport.open(target, signal);
  if (!plan.usesTls) return plain;
  try {
    const answer = await askForTls(plain, signal);
    if (answer === 'S') return await secured(plain, plan, signal);
    if (plan.fallsBack) return plain;
    throw new TlsRefused(`the server does not offer TLS, which sslmode ${target.sslMode} asks for`);
  } catch (error) {
    plain.destroy();
    if (!plan.fallsBack || signal.aborted || !(error instanceof TlsRefused)) throw error;
    return transport.open(target, signal);
  }
}

function askForTls(socket: Socket, signal: AbortSignal): Promise<'S' | 'N'> {
  return settled(socket, signal, (resolve, reject) => {
    socket.once('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      // More than the one byte would be read later as if it had come through TLS (CVE-2021-23222).
      if (text === 'S' || text === 'N') resolve(text);
      else reject(new TlsRefused('the server did not answer as PostgreSQL does when asked for TLS'));
    });
    socket.write(SSL_REQUEST);
  });
}

function secured(socket: Socket, plan: TlsPlan, signal: AbortSignal): Promise<Socket> {
  const secure = startTls(socket, plan);
  return settled(secure, signal, (resolve, reject) => {
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', (error: NodeJS.ErrnoException) => {
      reject(new TlsRefused(`the TLS handshake failed (${error.code ?? 'no code'})`));
    });
  });
}

/** Whatever happens to the socket meanwhile ends the wait. */
function settled<T>(
  socket: Socket,
  signal: AbortSignal,
  act: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onEnd = () =>
      finish(() => reject(new TlsRefused('the server ended the connection when asked for TLS')));
    const onError = (error: Error) => finish(() => reject(error));
    const onAbort = () => finish(() => reject(signal.reason));
    const finish = (settle: () => void) => {
      socket.off('close', onEnd);
      socket.off('end', onEnd);
      socket.off('error', onError);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    if (signal.aborted) return onAbort();
    act(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    );
    socket.once('close', onEnd);
    socket.once('end', onEnd);
    socket.once('error', onError);
    // What comes when nobody waits for it any more.
    socket.on('error', () => {});
    signal.addEventListener('abort', onAbort);
  });
}
