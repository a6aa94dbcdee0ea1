import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { validationError } from '../../kernel/errors.js';
import {
  type Cidr,
  cidrContains,
  formatIpAddress,
  type IpAddress,
  parseIpAddress,
  unmapIpv4,
} from '../../kernel/ip-address.js';
import { createLru } from '../cache/lru.js';
import { factsOf } from '../crypto/certificates.js';
import { type CertificateFormat, readCertificateHeader } from './certificate-header.js';
import type { ConnectionSource, PresentedCertificate } from './request-source.js';

/** Whose word of a caller is taken (clients-pki.md §1.4, §2.4). */
export interface TrustedPeers {
  /** `X-Forwarded-For` and `X-Forwarded-Proto`. */
  readonly proxies: readonly Cidr[];
  readonly certificateHeader: CertificateHeader | null;
}

export interface CertificateHeader {
  /** Lower case. */
  readonly name: string;
  readonly format: CertificateFormat;
  readonly peers: readonly Cidr[];
}

export type ReadSource = (request: IncomingMessage) => ConnectionSource;

export const NO_TRUSTED_PEERS: TrustedPeers = { proxies: [], certificateHeader: null };

/** `onIgnored` is told when a certificate header counts for nothing, since its peer may not send it. */
export function createSourceReader(
  trusted: TrustedPeers,
  onIgnored: (peer: string, header: string) => void,
): ReadSource {
  const { proxies, certificateHeader } = trusted;
  const ofConnections = createConnectionCertificates();
  const handed = certificateHeader && createHeaderCertificates(certificateHeader);

  function addressOf(request: IncomingMessage): string {
    const peer = peerAddress(request);
    return isWithin(proxies, peer) ? forwardedAddress(proxies, request, peer) : peer;
  }

  function isSecure(request: IncomingMessage): boolean {
    const forwarded = request.headers['x-forwarded-proto'];
    if (forwarded !== undefined && isWithin(proxies, peerAddress(request)))
      return String(forwarded).toLowerCase() === 'https';
    return 'encrypted' in request.socket;
  }

  function certificateOf(request: IncomingMessage): PresentedCertificate | null {
    if (certificateHeader && handed) {
      const peer = peerAddress(request);
      // Of a peer that ends the connections of others its own certificate says nothing about the caller.
      if (isWithin(certificateHeader.peers, peer)) return handed(request);
      if (request.headers[certificateHeader.name] !== undefined) onIgnored(peer, certificateHeader.name);
    }
    return ofConnections(request.socket);
  }

  /** What was read is kept: a connection that has gone no longer tells it. */
  class Source implements ConnectionSource {
    readonly #request: IncomingMessage;
    #address: string | undefined;
    #certificate: PresentedCertificate | null | undefined;

    constructor(request: IncomingMessage) {
      this.#request = request;
    }

    get address(): string {
      this.#address ??= addressOf(this.#request);
      return this.#address;
    }

    get isSecure(): boolean {
      return isSecure(this.#request);
    }

    get certificate(): PresentedCertificate | null {
      if (this.#certificate === undefined) this.#certificate = certificateOf(this.#request);
      return this.#certificate;
    }
  }

  return (request) => new Source(request);
}

/** The peer of the connection. A dual-stack listener shows IPv4 peers as `::ffff:…`; every call asks, so only those are read. */
function peerAddress({ socket }: IncomingMessage): string {
  const text = socket.remoteAddress;
  const mapped = text?.startsWith('::ffff:') ? parseIpAddress(text) : null;
  return mapped ? formatIpAddress(unmapIpv4(mapped)) : (text ?? '');
}

function isWithin(ranges: readonly Cidr[], address: string): boolean {
  if (ranges.length === 0) return false;
  const parsed = parseIpAddress(address);
  return parsed !== null && contains(ranges, parsed);
}

function contains(ranges: readonly Cidr[], address: IpAddress): boolean {
  return ranges.some((range) => cidrContains(range, address));
}

/**
 * From the right, since each hop writes what it saw behind what it was told: the first address that is none of our
 * proxies is the caller's, and what stands to its left is its own word.
 */
function forwardedAddress(proxies: readonly Cidr[], { headers }: IncomingMessage, peer: string): string {
  const text = String(headers['x-forwarded-for'] ?? '');
  let address = peer;
  let end = text.length;
  while (end > 0) {
    const comma = text.lastIndexOf(',', end - 1);
    const hop = hopOf(text.slice(comma + 1, end).trim());
    if (!hop) return '';
    address = formatIpAddress(hop);
    if (!contains(proxies, hop)) return address;
    end = comma;
  }
  return address;
}

/** Some proxies write the port too. */
const HOP = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+):\d{1,5})$/;

function hopOf(text: string): IpAddress | null {
  const [, bracketed, dotted] = HOP.exec(text) ?? [];
  const address = parseIpAddress(bracketed ?? dotted ?? text);
  return address && unmapIpv4(address);
}

/** A leaf has some 2,000 in any format; what a client makes larger is read each time. */
const KEPT_CHARACTERS_MAX = 4096;
const KEPT_MAX = 1000;

/** To read one takes 0.1 ms, and a caller sends the same with each request. */
function createHeaderCertificates({ name, format }: CertificateHeader) {
  const kept = createLru<string, PresentedCertificate>({ entriesMax: KEPT_MAX });
  return ({ headers, rawHeaders }: IncomingMessage): PresentedCertificate | null => {
    const value = headers[name];
    // An empty one is what some proxies send of no certificate.
    if (typeof value !== 'string' || value === '') return null;
    // Node folds repeated lines into one.
    if (linesOf(rawHeaders, name) > 1)
      throw validationError(name, 'must come once: whose certificate it is cannot be told');
    const known = kept.get(value);
    if (known) return known;
    const read = readCertificateHeader(format, value);
    if ('rule' in read) throw validationError(name, read.rule);
    if (value.length <= KEPT_CHARACTERS_MAX) kept.put(value, read);
    return read;
  };
}

function linesOf(rawHeaders: readonly string[], name: string): number {
  let lines = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === name) lines++;
  return lines;
}

/** The handshake has proved the key; a connection keeps its certificate, since renegotiation is off. */
function createConnectionCertificates(): (socket: Socket) => PresentedCertificate | null {
  const known = new WeakMap<Socket, PresentedCertificate | null>();
  return (socket) => {
    if (!('encrypted' in socket)) return null;
    const kept = known.get(socket);
    if (kept !== undefined) return kept;
    const certificate = (socket as TLSSocket).getPeerX509Certificate();
    const presented = certificate ? factsOf(certificate) : null;
    // One that has gone tells none, and is not asked again.
    known.set(socket, presented);
    return presented;
  };
}
