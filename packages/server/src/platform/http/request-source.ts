/** What a request shows of where it comes from. Nothing is read or parsed until it is asked for. */
export interface RequestSource {
  /**
   * The address that the product acts on, canonical, IPv4-mapped folded to IPv4. Empty where none is known: the
   * connection has gone, or what a trusted proxy says of it is no address.
   */
  readonly address: string;
  /** Null where the request shows none. Throws 400 where a trusted proxy hands one on that cannot be read. */
  readonly certificate: PresentedCertificate | null;
}

/** What the HTTP floor itself asks besides. */
export interface ConnectionSource extends RequestSource {
  /** The caller's own connection, to this server or to a trusted proxy, is under TLS. */
  readonly isSecure: boolean;
}

/** A client certificate whose key the client has proved to hold; of no CA in particular, and perhaps expired. */
export interface PresentedCertificate {
  /** 64 lower-case hex digits: SHA-256 of the DER. */
  readonly sha256Thumbprint: string;
  /** Milliseconds since the epoch; null where only the digest was handed over. */
  readonly notBeforeMs: number | null;
  readonly notAfterMs: number | null;
}
