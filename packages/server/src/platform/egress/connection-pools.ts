import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Client } from 'undici';
import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';

/** Idle connections kept in one pool; more than that at once is a burst. */
const IDLE_PER_POOL_MAX = 256;
const SWEEP_MS = 5_000;
/** A resumed session is not verified again, so the last full handshake must not be too long ago. */
const SESSION_MAX_MS = 3_600_000;
const RESPONSE_HEADERS_BYTES_MAX = 64 * 1024;

/** The kept connection was closed by the upstream before the request was written: nothing was sent. */
export class StaleConnection extends Error {}

/** One connection and the HTTP client on it; at most one call at a time. */
export interface Connection {
  readonly client: Client;
  readonly socket: Socket;
  readonly pool: Pool;
  idleSinceMs: number;
  /** A call before this one has ended well on it. */
  hasServed: boolean;
}

interface Session {
  readonly ticket: Buffer;
  readonly verifiedAtMs: number;
}

interface Pool {
  readonly key: string;
  readonly idle: Connection[];
  readonly busy: Set<Connection>;
  session: Session | null;
  usedAtMs: number;
  isEvicted: boolean;
}

/**
 * Upstream connections by (origin, policy, judged address): at most 1,000 pools, least recently used goes first; a
 * connection is idle for at most 60 s, so that an address no longer judged public is soon no longer connected to (S97).
 */
export interface ConnectionPools {
  /** The most recently used idle connection of the first pool that has one. */
  takeIdle(keys: readonly string[]): Connection | null;
  sessionFor(key: string): Buffer | undefined;
  /** A fresh connection, taken. */
  adopt(key: string, origin: string, socket: Socket): Connection;
  release(connection: Connection): void;
  discard(connection: Connection): void;
  size(): number;
  close(): Promise<void>;
}

export function createConnectionPools(clock: Clock): ConnectionPools {
  const pools = new Map<string, Pool>();
  /** Of the last use: it stands at the end of the map already. */
  let newest: Pool | null = null;
  let cancelSweep: (() => void) | null = null;

  function poolFor(key: string): Pool {
    const known = pools.get(key);
    if (known) {
      touch(known);
      return known;
    }
    if (pools.size >= LIMITS.upstreamPoolsMax) evict(pools.values().next().value!);
    const pool: Pool = {
      key,
      idle: [],
      busy: new Set(),
      session: null,
      usedAtMs: clock.monotonicMs(),
      isEvicted: false,
    };
    pools.set(key, pool);
    newest = pool;
    return pool;
  }

  function touch(pool: Pool): void {
    pool.usedAtMs = clock.monotonicMs();
    if (pool === newest) return;
    newest = pool;
    pools.delete(pool.key);
    pools.set(pool.key, pool);
  }

  function evict(pool: Pool): void {
    pool.isEvicted = true;
    pools.delete(pool.key);
    for (const connection of pool.idle.splice(0)) end(connection);
  }

  function discard(connection: Connection): void {
    const { pool } = connection;
    pool.busy.delete(connection);
    const at = pool.idle.indexOf(connection);
    if (at !== -1) pool.idle.splice(at, 1);
    end(connection);
  }

  function sweep(): void {
    cancelSweep = null;
    // What would be too old at the next sweep goes at this one.
    const oldestMs = clock.monotonicMs() + SWEEP_MS - LIMITS.upstreamIdleMs;
    for (const pool of [...pools.values()]) {
      // Taken from the end, so the front has been idle longest.
      while (pool.idle[0] && pool.idle[0].idleSinceMs < oldestMs) discard(pool.idle[0]);
      // An empty pool is kept that long for its TLS session.
      if (pool.idle.length + pool.busy.size === 0 && pool.usedAtMs < oldestMs) evict(pool);
    }
    if (pools.size > 0) armSweep();
  }

  function armSweep(): void {
    cancelSweep ??= clock.setTimer(SWEEP_MS, sweep);
  }

  return {
    takeIdle(keys) {
      for (const key of keys) {
        const pool = pools.get(key);
        const connection = pool?.idle.pop();
        if (!pool || !connection) continue;
        pool.busy.add(connection);
        touch(pool);
        return connection;
      }
      return null;
    },
    sessionFor(key) {
      const session = pools.get(key)?.session;
      return session && clock.monotonicMs() - session.verifiedAtMs < SESSION_MAX_MS
        ? session.ticket
        : undefined;
    },
    adopt(key, origin, socket) {
      const pool = poolFor(key);
      if (socket instanceof TLSSocket) keepSession(pool, socket, clock.monotonicMs());
      // The client takes it with the first request; until then nobody else would hear of its end.
      socket.on('error', () => {});
      const connection: Connection = {
        client: clientOn(origin, socket),
        socket,
        pool,
        idleSinceMs: 0,
        hasServed: false,
      };
      connection.client.on('disconnect', () => {
        if (!pool.busy.has(connection)) discard(connection);
      });
      pool.busy.add(connection);
      armSweep();
      return connection;
    },
    release(connection) {
      const { pool } = connection;
      if (pool.isEvicted || pool.idle.length >= IDLE_PER_POOL_MAX) return discard(connection);
      pool.busy.delete(connection);
      connection.idleSinceMs = clock.monotonicMs();
      connection.hasServed = true;
      pool.idle.push(connection);
    },
    discard,
    size: () => pools.size,
    async close() {
      cancelSweep?.();
      for (const pool of [...pools.values()]) {
        for (const connection of [...pool.idle, ...pool.busy]) discard(connection);
        evict(pool);
      }
    },
  };
}

/** Errors of a connection reach its call through the dispatch handler; nobody waits for the end itself. */
function end({ client, socket }: Connection): void {
  client.destroy().catch(() => {});
  // Of a client that never asked for it, it is nobody's.
  socket.destroy();
}

/** Tickets are kept only once the peer is verified: a resumed session is not compared with the name again. */
function keepSession(pool: Pool, socket: TLSSocket, nowMs: number): void {
  const verifiedAtMs = socket.isSessionReused() && pool.session ? pool.session.verifiedAtMs : nowMs;
  const keep = (ticket: Buffer) => {
    pool.session = { ticket, verifiedAtMs };
  };
  // TLS 1.2 has its ticket by now, TLS 1.3 sends it later.
  const ticket = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined;
  if (ticket) keep(ticket);
  socket.on('session', keep);
}

/** The client never dials: a second attempt to connect means that the connection was lost while idle. */
function clientOn(origin: string, connected: Socket): Client {
  let socket: Socket | null = connected;
  return new Client(origin, {
    connect(_options, callback) {
      const ready = socket;
      socket = null;
      // Not at once: the client takes no answer while it asks.
      queueMicrotask(() =>
        ready ? callback(null, ready) : callback(new StaleConnection('closed while idle'), null),
      );
    },
    pipelining: 1,
    keepAliveTimeout: LIMITS.upstreamIdleMs,
    keepAliveMaxTimeout: LIMITS.upstreamIdleMs,
    // Times are kept by the call's own clock.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: RESPONSE_HEADERS_BYTES_MAX,
  });
}
