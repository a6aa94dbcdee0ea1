import type { Socket } from 'node:net';
import type { IpAddress } from '../../../kernel/ip-address.js';

/** As the connection's row or a server's list of members names it: a name or an address, never resolved yet. */
export interface DatabaseAddress {
  readonly host: string;
  /** 1..65535. */
  readonly port: number;
}

/**
 * A way to a database. Nobody else opens a socket to one (dyn-db §2.8): it resolves, judges by KNOX_DB_ALLOW_TARGETS
 * and KNOX_DB_DENY_TARGETS, pins, and dials only an address judged so. One for each operation; closed after it.
 */
export interface Transport {
  /**
   * A connected socket, without TLS; the caller owns it. Members that a server advertises are opened here too.
   * `ssrf_blocked`, `dependency_unavailable` (no answer in time, refused, no such name), or the signal's reason.
   */
  open(address: DatabaseAddress, signal: AbortSignal): Promise<Socket>;
  /**
   * The judged addresses of a name, for a driver that insists on dialling (`mongodb`): its look-up answers with these
   * alone. Errors as of `open`.
   */
  resolve(address: DatabaseAddress, signal: AbortSignal): Promise<readonly IpAddress[]>;
  close(): Promise<void>;
}

/** What the operator allows, and the ways that lead there. */
export interface Transports {
  /** Why such an address may not be stored (contract README §9); null = it may. Resolves no name. */
  problem(address: DatabaseAddress): string | null;
  /** A way that lives as long as one operation; each of its waits ends after that time. */
  create(connectTimeoutMs: number): Transport;
}
