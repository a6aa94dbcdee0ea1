import { get } from 'node:http';
import { isIPv6 } from 'node:net';

const TIMEOUT_MS = 5_000;

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** The listener's own URL; a listener on every address is reached by loopback. */
export function urlOf({ address, port }: ListenAddress, scheme: 'http' | 'https' = 'http'): string {
  const reachable = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return `${scheme}://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

/** Asks the server for its own health at the address that is about to be printed. */
export function reachItself(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(`${url}/healthz`, { timeout: TIMEOUT_MS, agent: false }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`${url}/healthz answered ${response.statusCode}`));
    });
    request.on('timeout', () => request.destroy(new Error(`${url}/healthz did not answer`)));
    request.on('error', reject);
  });
}
