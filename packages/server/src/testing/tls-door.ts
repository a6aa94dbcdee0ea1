import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { systemClock } from '../kernel/clock.js';
import type { CertificateFacts } from '../platform/crypto/certificates.js';
import { CONNECTION_LIMITS, type ConnectionLimits } from '../platform/http/connections.js';
import { NO_TRUSTED_PEERS, type TrustedPeers } from '../platform/http/read-source.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import { openTlsListener, type TlsListener } from '../platform/http/tls-listener.js';
import type { TlsPair } from '../platform/http/tls-pair.js';
import { createLogger } from '../platform/log/logger.js';
import { createInstruments, type Instruments } from '../platform/telemetry/instruments.js';
import type { IssuedCertificate } from './tls-upstream.js';

/** The HTTP server with both listeners, which tells each request where it came from. */
export interface TlsDoor {
  readonly app: FastifyInstance;
  readonly tls: TlsListener;
  readonly port: number;
  readonly plainPort: number;
  readonly instruments: Instruments;
  close(timeoutMs?: number): Promise<void>;
}

export interface TlsDoorOptions {
  readonly certificate: IssuedCertificate;
  readonly limits?: Partial<ConnectionLimits>;
  readonly trustedPeers?: TrustedPeers;
  readonly extend?: (app: FastifyInstance) => void;
}

/** What `GET /source` answers. */
export interface ToldSource {
  readonly address: string;
  readonly isSecure: boolean;
  readonly certificate: { sha256Thumbprint: string; notBeforeMs: number; notAfterMs: number } | null;
}

export async function openTlsDoor(options: TlsDoorOptions): Promise<TlsDoor> {
  const instruments = createInstruments();
  const connectionLimits = { ...CONNECTION_LIMITS, ...options.limits };
  const app = createHttpServer({
    logger: createLogger('error', { write: () => {} }),
    requestLog: () => {},
    ids: { uuid: () => crypto.randomUUID() },
    clock: systemClock,
    instruments,
    connectionLimits,
    trustedPeers: options.trustedPeers ?? NO_TRUSTED_PEERS,
  });
  app.get('/source', async ({ source: { address, isSecure, certificate } }): Promise<object> => {
    return { address, isSecure, certificate };
  });
  options.extend?.(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const tls = await openTlsListener(app, {
    host: '127.0.0.1',
    port: 0,
    pair: pairOf(options.certificate),
    connectionLimits,
    instruments,
  });
  return {
    app,
    tls,
    port: tls.address.port,
    plainPort: (app.server.address() as AddressInfo).port,
    instruments,
    close: (timeoutMs = 1_000) => closeHttpServer(app, systemClock, timeoutMs, tls),
  };
}

/** As it is read from files; the facts are of nobody's interest here. */
export function pairOf({ certPem, keyPem }: IssuedCertificate): TlsPair {
  const facts: CertificateFacts = { sha256Thumbprint: '', notBeforeMs: 0, notAfterMs: 0 };
  return { certPem, keyPem, facts, digest: certPem };
}
