import { formatIpAddress, parseIpAddress } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { nameFault } from '../x509/index.js';
import { readName, refusedName, shownText } from './names.js';
import type { CaRole } from './roles.js';

/** What a certificate is asked for, as it was sent. */
export interface AskedNames {
  readonly cn: string | undefined;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** The names in the form in which they are certified. */
export interface CertifiedNames {
  readonly cn: string | undefined;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

export interface NameFault {
  readonly part: 'cn' | 'dns' | 'ips';
  /** Of a list, the entry; null: the whole of it. */
  readonly index: number | null;
  readonly rule: string;
}

const NO_ADDRESS = 'is no IPv4 or IPv6 address';
const NO_ADDRESSES = 'is an IP address, and the role has allow_ip_sans off';

/** By the rules of the role (clients-pki.md §3.3): every name is judged, so that one answer tells of all. */
export function certifiedNames(
  role: CaRole,
  asked: AskedNames,
): { readonly names: CertifiedNames; readonly faults: readonly NameFault[] } {
  const faults: NameFault[] = [];
  const dns = new Set<string>();
  const ips = new Set<string>();

  function takeIp(text: string, part: NameFault['part'], index: number | null): string {
    const address = parseIpAddress(text);
    const rule = !address ? NO_ADDRESS : role.allowIpSans ? null : NO_ADDRESSES;
    if (rule !== null) faults.push({ part, index, rule: `${shownText(text)} ${rule}` });
    const canonical = address ? formatIpAddress(address) : text;
    ips.add(canonical);
    return canonical;
  }

  function takeDns(text: string, part: NameFault['part'], index: number | null): string {
    const rule = refusedName(role, text);
    if (rule !== null) faults.push({ part, index, rule });
    const reading = readName(text);
    const canonical = 'name' in reading ? reading.name : text;
    dns.add(canonical);
    return canonical;
  }

  const take = (text: string) => (parseIpAddress(text) ? takeIp : takeDns);
  // Verifiers look at the alternative names alone, so that the CN is one of them (RFC 6125 §6.4.4).
  const cn = asked.cn === undefined ? undefined : take(asked.cn)(asked.cn, 'cn', null);
  // An internationalised name is longer as it is certified.
  const cnRule = cn === undefined || faults.length > 0 ? null : nameFault('CN', cn);
  if (cnRule !== null) faults.push({ part: 'cn', index: null, rule: cnRule });
  for (const [index, text] of asked.dns.entries()) takeDns(text, 'dns', index);
  for (const [index, text] of asked.ips.entries()) takeIp(text, 'ips', index);
  if (dns.size + ips.size === 0)
    faults.push({
      part: 'dns',
      index: null,
      rule: 'must name something: here, in the CN or as an IP address',
    });
  for (const [part, names] of [
    ['dns', dns],
    ['ips', ips],
  ] as const)
    if (names.size > LIMITS.pkiNamesMax)
      faults.push({
        part,
        index: null,
        rule: `must have at most ${LIMITS.pkiNamesMax} names, the CN with them`,
      });
  return { names: { cn, dns: [...dns], ips: [...ips] }, faults };
}
