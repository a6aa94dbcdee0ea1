import {
  type IpAddress,
  maskedBytes,
  parseIpAddress,
  parsePrefix,
  unmapIpv4,
} from '../../kernel/ip-address.js';

/** The addresses that an `ip` credential stands for. */
export interface Network {
  /**
   * Family, masked address and prefix as hex text: equal networks have equal keys, and in the order of keys a network
   * stands behind those that it lies in and before those that lie in it.
   */
  readonly key: string;
}

type Reading = { readonly network: Network } | { readonly problem: string };

/** Characters of the longest form there is, and room for zeros that are left in. */
export const NETWORK_CHARACTERS_MAX = 64;
const MAPPED_BITS = 96;

/** An address or a CIDR range; its bits beyond the prefix do not count. Strict, by clients-pki.md §2.3. */
export function readNetwork(text: string): Reading {
  const [addressText = '', prefixText, ...more] = text.split('/');
  const problem = formProblem(text) ?? (more.length > 0 ? 'must have one prefix length' : null);
  if (problem !== null) return { problem };
  const written = parseIpAddress(addressText);
  if (!written) return { problem: addressProblem(addressText) };
  const bits = written.bytes.length * 8;
  const prefix = prefixText === undefined ? bits : parsePrefix(prefixText, bits);
  if (prefix === null) return { problem: `the prefix length must be a whole number of 1 to ${bits}` };
  const address = unmapIpv4(written);
  const ownPrefix = address === written ? prefix : prefix - MAPPED_BITS;
  if (prefix === 0)
    return { problem: 'a prefix length of 0 is every address there is: require no clients instead' };
  if (ownPrefix <= 0)
    return {
      problem: `an IPv4-mapped range must have a prefix length above ${MAPPED_BITS}, or be written as IPv4`,
    };
  return { network: { key: keyOf(address, ownPrefix) } };
}

/** What people paste, named by what is wrong with it. */
function formProblem(text: string): string | null {
  if (text.includes(',')) return 'must be one address or range: make a credential for each';
  if (/\s/.test(text)) return 'must not hold spaces';
  if (text.includes('%')) return 'must not have a zone id: it means something on one machine alone';
  if (/[[\]]/.test(text)) return 'must not have brackets';
  return null;
}

function addressProblem(text: string): string {
  if (/^[\d.]+:\d+$/.test(text)) return 'must not have a port';
  if (/^[\d.]+$/.test(text) && text.split('.').some((part) => /^0\d/.test(part)))
    return 'must not have leading zeros: programs read them as octal or as decimal';
  return 'must be an IPv4 or IPv6 address or a CIDR range, as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32';
}

function keyOf(address: IpAddress, prefix: number): string {
  const network = Buffer.from(maskedBytes(address, prefix)).toString('hex');
  return `${address.family}${network}${prefix.toString(16).padStart(2, '0')}`;
}
