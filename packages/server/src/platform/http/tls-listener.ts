import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Instruments } from '../telemetry/instruments.js';
import { CONNECTION_LIMITS, type ConnectionLimits } from './connections.js';
import type { TlsPair } from './tls-pair.js';

export interface TlsListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly pair: TlsPair;
  readonly connectionLimits?: ConnectionLimits;
  readonly instruments?: Instruments;
}

export interface TlsListener {
  readonly address: AddressInfo;
  /** For connections from now on; those that are open keep what they were shown. */
  use(pair: TlsPair): void;
  /** Stops accepting; resolves when the last connection has ended. */
  close(): Promise<void>;
  destroyConnections(): void;
}

/**
 * A second door to the same HTTP server, whose limits, timeouts and handlers are then those of every connection. It
 * asks for a client certificate and takes any, or none: what it is worth is judged by its thumbprint (clients-pki.md §2.4).
 */
export async function openTlsListener(
  app: FastifyInstance,
  options: TlsListenerOptions,
): Promise<TlsListener> {
  const { host, port, pair, connectionLimits: limits = CONNECTION_LIMITS, instruments } = options;
  const failed = instruments?.counter(
    'knox_tls_handshakes_failed_total',
    'Connections to the TLS listener that never came to a request.',
  );
  let inUse = pair;
  instruments?.gauge(
    'knox_tls_certificate_not_after_seconds',
    'When the certificate of the TLS listener ends, in seconds since 1970.',
    () => inUse.facts.notAfterMs / 1000,
  );
  const open = new Set<Socket>();
  const server = createServer({
    ...contextOf(pair),
    ALPNProtocols: ['http/1.1'],
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.requestHeadMs,
    noDelay: true,
  });
  server.maxConnections = limits.connectionsMax;
  server.on('drop', (data) => app.server.emit('drop', data));
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('tlsClientError', (_error, socket) => {
    failed?.add();
    // Of one that took too long Node only says so.
    socket.destroy();
  });
  server.on('secureConnection', (socket) => {
    // A stop has begun while it was shaking hands.
    if (!app.server.listening) {
      socket.destroy();
      return;
    }
    // In TLS 1.2 it could change the certificate of a connection.
    socket.disableRenegotiation();
    app.server.emit('connection', socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    address: server.address() as AddressInfo,
    use(next) {
      server.setSecureContext(contextOf(next));
      inUse = next;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
    destroyConnections() {
      for (const socket of open) socket.destroy();
    },
  };
}

function contextOf({ certPem, keyPem }: TlsPair) {
  return {
    cert: certPem,
    key: keyPem,
    // None is asked about a client's certificate, so that none is named to it either.
    ca: [],
    minVersion: 'TLSv1.2' as const,
  };
}
