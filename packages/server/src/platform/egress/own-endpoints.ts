import { networkInterfaces } from 'node:os';
import { assert } from '../../kernel/assert.js';
import { formatIpAddress, type IpAddress, parseIpAddress, unmapIpv4 } from '../../kernel/ip-address.js';
import { classifyAddress } from './address-policy.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Whether an address and port lead back to the platform's own listeners, database or cache (ssrf cases S101, L15). */
export type IsOwnEndpoint = (address: IpAddress, port: number) => boolean;

/**
 * An endpoint on this machine closes its port on every address of this machine: a wildcard listener answers on all of
 * them, and all of 127.0.0.0/8 leads to it. A remote endpoint closes its one address.
 */
export function ownEndpointCheck(
  endpoints: readonly Endpoint[],
  localAddresses = interfaceAddresses,
): IsOwnEndpoint {
  const localPorts = new Set<number>();
  const remote = new Set<string>();
  const isLocal = (address: IpAddress) =>
    isLoopbackOrWildcard(address) || localAddresses().has(formatIpAddress(address));
  for (const { address: text, port } of endpoints) {
    const parsed = parseIpAddress(text);
    assert(parsed, 'own endpoints are given by resolved address');
    const address = unmapIpv4(parsed);
    if (isLocal(address)) localPorts.add(port);
    else remote.add(`${formatIpAddress(address)} ${port}`);
  }
  return (address, port) =>
    (localPorts.has(port) && isLocal(address)) ||
    (remote.size > 0 && remote.has(`${formatIpAddress(address)} ${port}`));
}

function isLoopbackOrWildcard(address: IpAddress): boolean {
  const addressClass = classifyAddress(address);
  return addressClass === 'loopback' || addressClass === 'unspecified';
}

function interfaceAddresses(): ReadonlySet<string> {
  const found = new Set<string>();
  for (const list of Object.values(networkInterfaces())) {
    for (const { address } of list ?? []) {
      // Link-local addresses carry a zone on some systems.
      const parsed = parseIpAddress(address.replace(/%.*$/, ''));
      if (parsed) found.add(formatIpAddress(parsed));
    }
  }
  return found;
}
