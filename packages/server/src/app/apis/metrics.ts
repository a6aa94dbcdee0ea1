import type { IncomingMessage } from 'node:http';
import type { FastifyPluginAsync } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { isLoopback, isLoopbackHost, parseIpAddress, unmapIpv4 } from '../../kernel/ip-address.js';
import type { Secret } from '../../kernel/secret.js';
import { equalInConstantTime, sha256 } from '../../platform/crypto/hashing.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Exposition } from '../../platform/telemetry/exposition.js';

export interface MetricsApiDeps {
  readonly exposition: Exposition;
  /** `KNOX_METRICS_TOKEN`; without it only this machine may read, and only where nothing stands in front of it. */
  readonly token: Secret<string> | null;
  /** Callers come from elsewhere: what passes them on, on this machine, makes every peer a local one. */
  readonly hasPublicName: boolean;
}

/** Prometheus' text format, bare (contract README §5, §8). */
export function createMetricsApi(deps: MetricsApiDeps): FastifyPluginAsync {
  const digest = deps.token && sha256(deps.token.reveal());
  return async (scope) => {
    scope.get('/metrics', async (request, reply) => {
      if (digest) requireToken(request.raw, digest);
      else if (deps.hasPublicName || !isFromThisMachine(request.raw)) throw notForPeers();
      const { contentType, text } = await deps.exposition.read();
      reply.header('content-type', contentType).header('cache-control', 'no-store');
      return text;
    });
  };
}

function requireToken({ headers }: IncomingMessage, digest: Buffer): void {
  const { authorization } = headers;
  if (authorization === undefined)
    throw new AppError('authentication_required', 'The metrics are read with KNOX_METRICS_TOKEN as Bearer');
  const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
  // Of digests, so that neither the length nor the beginning of the token shows in the time.
  if (!equalInConstantTime(sha256(given), digest))
    throw new AppError('invalid_token', 'The metrics token is not valid');
}

function notForPeers(): AppError {
  return new AppError(
    'forbidden',
    'The metrics are read with KNOX_METRICS_TOKEN as Bearer; without it on the machine of the server alone, while it has no public name',
  );
}

const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/**
 * A proxy on this machine makes every peer a local one: what it adds, a name that led to it, or HTTP/1.0, which common
 * ones speak to their upstream unless told otherwise, refuses. The `Host` also keeps out a page in a browser of this
 * machine whose name was made to resolve here.
 */
function isFromThisMachine({ socket, headers, httpVersion }: IncomingMessage): boolean {
  if (httpVersion === '1.0' || FORWARDED.some((name) => headers[name] !== undefined)) return false;
  const host = /^(\[[^\]]+\]|[^:]*)(?::\d+)?$/.exec(headers.host ?? '')?.[1] ?? '';
  const peer = parseIpAddress(socket.remoteAddress ?? '');
  // A dual-stack listener shows IPv4 peers as `::ffff:…`.
  return peer !== null && isLoopback(unmapIpv4(peer)) && isLoopbackHost(host);
}

export const describeMetrics: Describe = () => [
  {
    method: 'GET',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Metrics in the Prometheus text format',
    description:
      'With `KNOX_METRICS_TOKEN` as Bearer. Where that is not set, calls from the server’s own machine are answered while it has no public name, and no others.',
    credential: 'none',
    permission: null,
    answers: {
      200: {
        description: 'All metrics; their names begin with `knox_`.',
        content: { 'text/plain': { schema: { type: 'string' } } },
      },
    },
    errors: ['validation_error', 'authentication_required', 'invalid_token', 'forbidden'],
  },
];
