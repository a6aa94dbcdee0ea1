import { readFile } from 'node:fs/promises';
import { type IpAddress, parseIpAddress } from '../../kernel/ip-address.js';
import { isDnsName } from './name-policy.js';
import type { Resolution, Resolver } from './resolver.js';

export interface SystemNamesDeps {
  readonly resolver: Resolver;
  /** The text of a file; empty where there is none. */
  readonly read?: (path: string) => Promise<string>;
}

const HOSTS = '/etc/hosts';
const RESOLV_CONF = '/etc/resolv.conf';
/** As glibc's once were; each costs a look-up of its own. */
const SEARCH_MAX = 6;
const NDOTS_MAX = 15;
const LOOPBACK = ['127.0.0.1', '::1'].map((text) => parseIpAddress(text)!);

/**
 * Names as this machine knows them: /etc/hosts, then the resolver with the search list, in glibc's order. For what the
 * operator's own network calls its servers (`db` of a compose file); never for URLs of callers.
 */
export function createSystemNames({ resolver, read = readOrEmpty }: SystemNamesDeps): Resolver {
  return {
    async resolve(name) {
      const [hosts, conf] = await Promise.all([read(HOSTS), read(RESOLV_CONF)]);
      const listed = listedAddresses(hosts, name);
      if (listed.length > 0) return found(listed);
      // RFC 6761 §6.3: never asked of the DNS.
      if (name === 'localhost' || name.endsWith('.localhost')) return found(LOOPBACK);
      let failure: Resolution | null = null;
      for (const candidate of candidates(name, conf)) {
        const resolution = await resolver.resolve(candidate);
        if (resolution.kind === 'found') return resolution;
        if (failure === null || resolution.reason === 'servers_failed') failure = resolution;
      }
      return failure!;
    },
  };
}

function found(addresses: readonly IpAddress[]): Resolution {
  return { kind: 'found', addresses, ttlMs: 0 };
}

function listedAddresses(hosts: string, name: string): IpAddress[] {
  return hosts.split('\n').flatMap((line) => {
    const [text = '', ...names] = line.replace(/#.*$/, '').trim().toLowerCase().split(/\s+/);
    const address = names.includes(name) ? parseIpAddress(text) : null;
    return address ? [address] : [];
  });
}

function candidates(name: string, conf: string): readonly string[] {
  let search: string[] = [];
  let dotsMin = 1;
  for (const line of conf.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .toLowerCase()
      .split(/\s+/);
    // The last of the two wins (resolv.conf(5)).
    if (keyword === 'search' || keyword === 'domain') search = values;
    if (keyword !== 'options') continue;
    const dots = values
      .map((value) => /^ndots:(\d{1,2})$/.exec(value)?.[1])
      .find((text) => text !== undefined);
    if (dots !== undefined) dotsMin = Math.min(Number(dots), NDOTS_MAX);
  }
  const searched = search
    .slice(0, SEARCH_MAX)
    .map((domain) => `${name}.${domain.replace(/\.$/, '')}`)
    .filter(isDnsName);
  return name.split('.').length > dotsMin ? [name, ...searched] : [...searched, name];
}

async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
