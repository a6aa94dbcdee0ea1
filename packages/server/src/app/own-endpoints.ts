import { lookup } from 'node:dns/promises';
import type { Config } from '../platform/config/config.js';
import type { ListenAddress } from './self-check.js';

const POSTGRES_PORT = 5432;
const REDIS_PORT = 6379;

/**
 * Where the platform itself listens and keeps its data; the egress guard never dials these, whatever the operator
 * opened (contract README §9).
 */
export async function ownEndpoints(
  listeners: readonly ListenAddress[],
  { storage, redisUrl }: Pick<Config, 'storage' | 'redisUrl'>,
): Promise<ListenAddress[]> {
  return [
    ...listeners,
    ...(storage.kind === 'postgres' ? await endpointsOf(storage.url.reveal(), POSTGRES_PORT) : []),
    ...(redisUrl ? await endpointsOf(redisUrl.reveal(), REDIS_PORT) : []),
  ];
}

async function endpointsOf(url: string, portDefault: number): Promise<ListenAddress[]> {
  const { hostname, port } = new URL(url);
  // An empty host is a Unix socket, which no URL of a caller can reach.
  if (hostname === '') return [];
  const name = hostname.replace(/^\[|\]$/g, '');
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => ({ address, port: port === '' ? portDefault : Number(port) }));
}
