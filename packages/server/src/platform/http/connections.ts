import type { Server } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Instruments } from '../telemetry/instruments.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body may take as long as the longest request: it goes through to somebody. */
    readonly hasLongBody?: boolean;
  }
}

/** What a client may hold of the listener, and how long (docs/decisions/0059). */
export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly requestHeadMs: number;
  readonly requestBodyMs: number;
  readonly requestMs: number;
  readonly silentMs: number;
  readonly keepAliveMs: number;
  /** How often heads and requests are looked at for their time. */
  readonly checkEveryMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  connectionsMax: LIMITS.connectionsMax,
  requestHeadMs: LIMITS.requestHeadMs,
  requestBodyMs: LIMITS.requestBodyMs,
  requestMs: LIMITS.requestMs,
  silentMs: LIMITS.silentConnectionMs,
  keepAliveMs: LIMITS.keepAliveMs,
  checkEveryMs: 2_000,
};

/** As Node calls a head or a request that did not come in time. */
export const TOO_SLOW = 'ERR_HTTP_REQUEST_TIMEOUT';

/**
 * Node closes what comes above the limit before a byte of it is read. The second listener that Fastify opens under the
 * name `localhost` counts for itself; only this machine reaches it.
 */
export function limitConnections(
  server: Server,
  connectionsMax: number,
  instruments: Instruments | undefined,
): void {
  server.maxConnections = connectionsMax;
  if (!instruments) return;
  const refused = instruments.counter(
    'knox_http_connections_refused_total',
    'Connections that were closed at once because too many were open.',
  );
  server.on('drop', () => refused.add());
  let open = 0;
  server.on('connection', (socket) => {
    open++;
    socket.once('close', () => open--);
  });
  instruments.gauge('knox_http_connections', 'Connections that are open.', () => open);
}

/** Node knows one time for whole requests, which is the proxy's; other bodies are small. */
export function boundBody(
  app: FastifyInstance,
  clock: Clock,
  request: FastifyRequest,
  { raw: response }: FastifyReply,
  bodyMs: number,
): void {
  const { raw, routeOptions } = request;
  const hasBody = raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length']) > 0;
  if (!hasBody || routeOptions.config.hasLongBody) return;
  const cancel = clock.setTimer(bodyMs, () => {
    if (raw.complete || raw.readableEnded) return;
    // Answered already, before its body: a second answer would be nobody's.
    if (response.writableEnded) raw.destroy();
    else
      app.server.emit('clientError', Object.assign(new Error('slow body'), { code: TOO_SLOW }), raw.socket);
  });
  raw.once('close', cancel);
}
