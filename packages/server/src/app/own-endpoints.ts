import { lookup } from 'node:dns/promises';
import type { Config } from '../platform/config/config.js';
import type { ListenAddress } from './self-check.js';

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
    ...(storage.kind === 'postgres' ? await endpointsOf(await databaseAddress(storage.url.reveal())) : []),
    ...(redisUrl ? await endpointsOf(redisAddress(redisUrl.reveal())) : []),
  ];
}

async function databaseAddress(url: string): Promise<ListenAddress> {
  const { postgresAddress } = await import('../platform/storage/postgres-address.js');
  return postgresAddress(url);
}

function redisAddress(text: string): ListenAddress {
  const { hostname, port } = new URL(text);
  return { address: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? REDIS_PORT : Number(port) };
}

async function endpointsOf({ address: host, port }: ListenAddress): Promise<ListenAddress[]> {
  // Who listens at a socket file mostly listens on this machine's addresses too, at the port that the file is named by.
  if (host.startsWith('/')) return [{ address: '127.0.0.1', port }];
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => ({ address, port }));
}
