import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock } from '../../kernel/clock.js';
import { type IpAddress, parseIpAddress, sameIpAddress, unmapIpv4 } from '../../kernel/ip-address.js';
import type { Ending } from './egress.js';
import { peerRefused, upstreamTlsError, upstreamUnreachable } from './errors.js';

export interface DialTarget {
  /** A judged address; never a name, so that nothing is resolved again. */
  readonly address: string;
  readonly port: number;
  readonly servername: string;
  /** Of this machine, where the call must come from it. */
  readonly localAddress?: string;
}

/** Opens the TCP connection; tests put one here that records and dials nothing. */
export type Dialer = (target: DialTarget) => Socket;

export const tcpDialer: Dialer = ({ address, port, localAddress }) =>
  connectTcp({
    host: address,
    port,
    noDelay: true,
    keepAlive: true,
    autoSelectFamily: false,
    ...(localAddress !== undefined && { localAddress }),
  });

/** The TCP connection did not come about; no byte was sent, so the next judged address may be tried. */
export class ConnectFailure extends Error {}

export interface TcpDial {
  readonly target: DialTarget;
  readonly address: IpAddress;
  readonly dialer: Dialer;
  readonly ending: Ending;
  readonly clock: Clock;
  /** Longest wait for TCP, ms, where other addresses are left to try. */
  readonly tcpTimeoutMs: number | null;
}

export interface TlsDial extends TcpDial {
  readonly trust: SecureContext;
  readonly session: Buffer | undefined;
  /** False where the certificate proves nothing that is asked for; absent = it is judged. */
  readonly isVerified?: boolean;
}

/** TCP, then the peer check. Throws ConnectFailure, an AppError or the clock's reason. */
export async function dialTcp(dial: TcpDial): Promise<Socket> {
  const raw = await establish(dial, dial.dialer(dial.target), 'connect', dial.tcpTimeoutMs, asConnectFailure);
  const peer = raw.remoteAddress ? parseIpAddress(raw.remoteAddress) : null;
  if (!peer || !sameIpAddress(unmapIpv4(peer), dial.address)) {
    raw.destroy();
    throw peerRefused(`dialled ${dial.target.address}, reached ${raw.remoteAddress ?? 'nobody'}`);
  }
  return raw;
}

/** And only then the TLS hello. */
export async function dialTls(dial: TlsDial): Promise<TLSSocket> {
  return secure(dial, await dialTcp(dial));
}

/** TLS with the name that was asked for, on whatever leads to a judged address. */
export async function secure(dial: TlsDial, raw: Socket): Promise<TLSSocket> {
  const socket = connectTls({
    socket: raw,
    servername: dial.target.servername,
    secureContext: dial.trust,
    session: dial.session,
    ALPNProtocols: ['http/1.1'],
    // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
    rejectUnauthorized: dial.isVerified ?? true,
  });
  socket.once('close', () => raw.destroy());
  return establish(dial, socket, 'secureConnect', null, upstreamTlsError);
}

function asConnectFailure(cause: unknown): Error {
  return new ConnectFailure('no TCP connection', { cause });
}

/** Waits for the event; otherwise destroys the socket, whatever ended the wait. */
function establish<S extends Socket>(
  { ending, clock }: TcpDial,
  socket: S,
  event: string,
  timeoutMs: number | null,
  asError: (cause: unknown) => Error,
): Promise<S> {
  return new Promise((resolve, reject) => {
    let leaveClock = () => {};
    const letGo = () => {
      cancelTimer();
      leaveClock();
      socket.off(event, onDone);
      socket.off('error', onError);
      socket.off('close', onClose);
    };
    const fail = (error: unknown) => {
      letGo();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onDone = () => {
      letGo();
      resolve(socket);
    };
    const onError = (error: Error) => fail(asError(error));
    const onClose = () => fail(asError(new Error('closed')));
    const cancelTimer =
      timeoutMs === null
        ? () => {}
        : clock.setTimer(timeoutMs, () => fail(asError(new Error('no answer in time'))));
    socket.on(event, onDone).on('error', onError).on('close', onClose);
    leaveClock = ending.onEnd(fail);
  });
}

/** What the caller is told when no judged address could be connected to. */
export function unreachable(failures: readonly { target: DialTarget; cause: unknown }[]): Error {
  const detail = failures
    .map(
      ({ target, cause }) =>
        `${target.address}:${target.port} ${cause instanceof Error ? cause.message : ''}`,
    )
    .join('; ');
  return upstreamUnreachable('No connection to the upstream', failures.at(-1)?.cause, detail);
}
