import { AppError } from '../../../kernel/errors.js';
import { formatIpAddress, type IpAddress } from '../../../kernel/ip-address.js';
import { LIMITS } from '../../../kernel/limits.js';
import { classifyAddress, isClosedForGood, nat64Target } from '../../../platform/egress/address-policy.js';
import { isCovered, mayCoverAddress, type TargetEntry } from '../../../platform/egress/database-targets.js';
import type { AddressClass } from '../../../platform/egress/egress.js';
import { addressRefused } from '../../../platform/egress/errors.js';
import { isMetadataName } from '../../../platform/egress/name-policy.js';
import { type DatabaseHost, parseDatabaseHost } from './database-host.js';
import type { DatabaseAddress } from './transport.js';

export interface TargetPolicyDeps {
  /** KNOX_DB_ALLOW_TARGETS and KNOX_DB_DENY_TARGETS. */
  readonly allow: readonly TargetEntry[];
  readonly deny: readonly TargetEntry[];
  /** KNOX_EGRESS_NAT64: the IPv4 address inside is judged. */
  readonly nat64: boolean;
  /** The platform's own listeners, database and cache. */
  isOwnEndpoint(address: IpAddress, port: number): boolean;
}

/** Where dynamic credentials may lead (contract README §9). Pure: whoever asks has resolved. */
export interface TargetPolicy {
  /** Which rule a host and port break as they are written; null = they may be stored. A name's addresses are judged later. */
  problem(target: DatabaseAddress): string | null;
  /** `ssrf_blocked` where one of the addresses that the host leads to is refused: one bad address refuses the name. */
  judge(host: DatabaseHost, port: number, addresses: readonly IpAddress[]): void;
}

type Refusal = AddressClass | 'denied' | 'not_allowed';

const WRITTEN: Partial<Record<Refusal, string>> = {
  metadata: 'must not be a cloud metadata address',
  link_local: 'must not be a link-local address',
  multicast: 'must not be a multicast address',
  unspecified: 'must not be the unspecified address',
  embedded_ipv4: 'must not be an IPv6 address that embeds an IPv4 address',
  own_listener: 'must not be this server, its database or its cache',
};
const DENIED = 'must not be a target that the operator refuses (KNOX_DB_DENY_TARGETS)';
const NOT_ALLOWED = 'must be a target that the operator allows (KNOX_DB_ALLOW_TARGETS)';

export function createTargetPolicy(deps: TargetPolicyDeps): TargetPolicy {
  const { allow, deny } = deps;

  function refusalOf(name: string | null, address: IpAddress, port: number): Refusal | null {
    const subject = (deps.nat64 && nat64Target(address)) || address;
    const addressClass = classifyAddress(subject);
    if (isClosedForGood(addressClass)) return addressClass;
    if (deps.isOwnEndpoint(subject, port)) return 'own_listener';
    const target = { name, address: subject, port };
    if (isCovered(deny, target)) return 'denied';
    return isCovered(allow, target) ? null : 'not_allowed';
  }

  function nameProblem(name: string, port: number): string | null {
    if (isMetadataName(name)) return 'must not be a cloud metadata name';
    const target = { name, address: null, port };
    if (isCovered(deny, target)) return DENIED;
    return isCovered(allow, target) || mayCoverAddress(allow, port) ? null : NOT_ALLOWED;
  }

  return {
    problem({ host: text, port }) {
      const host = parseDatabaseHost(text);
      if (typeof host === 'string') return host;
      if (host.kind === 'name') return nameProblem(host.name, port);
      const refusal = refusalOf(null, host.address, port);
      if (refusal === null) return null;
      return WRITTEN[refusal] ?? (refusal === 'denied' ? DENIED : NOT_ALLOWED);
    },

    judge(host, port, addresses) {
      const name = host.kind === 'name' ? host.name : null;
      // The lists may have become narrower, and a server may advertise any name.
      if (name !== null && nameProblem(name, port) !== null) throw targetRefused(`${name}:${port}`);
      if (addresses.length > LIMITS.dnsAnswersMax) {
        throw addressRefused('too_many_addresses', `${name}: ${addresses.length}`);
      }
      for (const address of addresses) {
        const refusal = refusalOf(name, address, port);
        if (refusal === null) continue;
        const detail = `${name ?? ''} ${formatIpAddress(address)}:${port}`.trim();
        if (refusal === 'denied' || refusal === 'not_allowed') throw targetRefused(`${refusal}: ${detail}`);
        throw addressRefused(refusal as Exclude<AddressClass, 'public'>, detail);
      }
    },
  };
}

function targetRefused(detail: string): AppError {
  return new AppError('ssrf_blocked', 'The operator does not allow this database target', {
    detail,
    reason: 'target_not_allowed',
  });
}
