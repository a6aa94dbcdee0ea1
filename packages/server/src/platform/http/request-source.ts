import type { IncomingMessage } from 'node:http';
import { formatIpAddress, parseIpAddress, unmapIpv4 } from '../../kernel/ip-address.js';

/** What a request shows of where it comes from. Nothing is read or parsed until it is asked for. */
export interface RequestSource {
  /**
   * The address that the product acts on, canonical, IPv4-mapped folded to IPv4. Empty where none is known: the
   * connection has gone.
   */
  readonly address: string;
  /** Null where the request shows none. */
  readonly certificate: PresentedCertificate | null;
}

/** A client certificate whose key the client has proved to hold; of no CA in particular, and perhaps expired. */
export interface PresentedCertificate {
  /** 64 lower-case hex digits: SHA-256 of the DER. */
  readonly sha256Thumbprint: string;
  /** Milliseconds since the epoch; null where only the digest was handed over. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
}

export function requestSource(request: IncomingMessage): RequestSource {
  return new ReadSource(request);
}

class ReadSource implements RequestSource {
  readonly #request: IncomingMessage;
  #address: string | undefined;

  constructor(request: IncomingMessage) {
    this.#request = request;
  }

  /** Kept, since a connection that has gone no longer tells it. */
  get address(): string {
    this.#address ??= peerAddress(this.#request);
    return this.#address;
  }

  get certificate(): PresentedCertificate | null {
    return null;
  }
}

/** The peer of the connection. A dual-stack listener shows IPv4 peers as `::ffff:…`; every call asks, so only those are read. */
function peerAddress({ socket }: IncomingMessage): string {
  const text = socket.remoteAddress;
  const mapped = text?.startsWith('::ffff:') ? parseIpAddress(text) : null;
  return mapped ? formatIpAddress(unmapIpv4(mapped)) : (text ?? '');
}
