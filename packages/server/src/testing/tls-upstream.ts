import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { createServer as createTlsServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface IssueOptions {
  readonly expired?: boolean;
  /** For who calls, not for who is called. */
  readonly isClient?: boolean;
}

export interface TestCa {
  readonly caPem: string;
  issue(names: readonly string[], options?: IssueOptions): Promise<IssuedCertificate>;
}

/** A certificate authority of the test's own, in memory. */
export async function createTestCa(commonName = 'Test CA'): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: `CN=${commonName}`,
      notBefore: daysFromNow(-3650),
      notAfter: daysFromNow(3650),
      keys,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return {
    caPem: ca.toString('pem'),
    issue: (names, options) => issue(ca, keys.privateKey, names, options),
  };
}

async function issue(
  ca: X509Certificate,
  signingKey: webcrypto.CryptoKey,
  names: readonly string[],
  { expired = false, isClient = false }: IssueOptions = {},
): Promise<IssuedCertificate> {
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: `CN=${names[0]}`,
      issuer: ca.subject,
      notBefore: daysFromNow(-30),
      notAfter: daysFromNow(expired ? -1 : 30),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: SIGNATURE,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([isClient ? CLIENT_AUTH : SERVER_AUTH]),
        new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
      ],
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certPem: certificate.toString('pem'), keyPem: PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

export interface UpstreamRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly servername: string;
}

export interface TlsUpstreamOptions {
  readonly ca: TestCa;
  readonly names: readonly string[];
  /** Answers HTTP; without it every request gets an empty 200. */
  readonly handler?: RequestListener;
  /** In place of HTTP: what a misbehaving server does with its bytes. */
  readonly onSocket?: (socket: TLSSocket) => void;
  readonly tls?: TlsOptions;
  readonly expired?: boolean;
  /** 127.0.0.1 when absent. */
  readonly address?: string;
}

/** An HTTPS server on loopback with a certificate of the test's CA. */
export interface TlsUpstream {
  readonly port: number;
  /** Requests whose head has arrived, in order. */
  readonly requests: readonly UpstreamRequest[];
  /** TCP connections ever opened, TLS or not. */
  connectionCount(): number;
  openConnectionCount(): number;
  /** Ends every connection from this side; returns before the peers can have noticed. */
  dropConnections(): void;
  close(): Promise<void>;
}

export async function startTlsUpstream(options: TlsUpstreamOptions): Promise<TlsUpstream> {
  const { certPem, keyPem } = await options.ca.issue(options.names, { expired: options.expired ?? false });
  const requests: UpstreamRequest[] = [];
  const tls: TlsOptions = { cert: certPem, key: keyPem, ...options.tls };
  const server: Server = options.onSocket
    ? createTlsServer(tls, options.onSocket)
    : createServer(tls, (request, response) => {
        const { servername } = request.socket as TLSSocket & { servername: string | false };
        requests.push({
          method: request.method ?? '',
          url: request.url ?? '',
          rawHeaders: request.rawHeaders,
          servername: servername || '',
        });
        if (options.handler) options.handler(request, response);
        else request.resume().on('end', () => response.end());
      });
  // It takes what is forwarded: newer versions of Node answer 431 above 1,000 headers, those of the hop included.
  if ('maxHeadersCount' in server) server.maxHeadersCount = 0;
  const open = new Set<{ destroy(): void }>();
  const dropConnections = () => {
    for (const socket of open) socket.destroy();
  };
  let connections = 0;
  server.on('connection', (socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, options.address ?? '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the upstream has no port');
  return {
    port: bound.port,
    requests,
    connectionCount: () => connections,
    openConnectionCount: () => open.size,
    dropConnections,
    close() {
      dropConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes. */
function serialNumber(): string {
  return `01${randomBytes(15).toString('hex')}`;
}

/** Real time on purpose: OpenSSL reads the system's clock, not the test's. */
function daysFromNow(days: number): Date {
  return new Date(performance.timeOrigin + days * DAY_MS);
}
