import { type IpAddress, parseIpAddress, sameIpAddress } from '../../kernel/ip-address.js';

interface Entry {
  readonly address: IpAddress;
  /** Null = every tenant. */
  readonly tenantSlug: string | null;
}

/** KNOX_EGRESS_SOURCE_ADDRESSES: which addresses of this machine the calls of which tenant may come from. */
export interface SourceAddresses {
  isOpenTo(address: IpAddress, tenantSlug: string): boolean;
}

/** A comma list of `<address>[@tenant-slug]`. Throws an error that names the variable and the entry. */
export function parseSourceAddresses(text: string): SourceAddresses {
  const entries = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseEntry);
  return {
    isOpenTo: (address, tenantSlug) =>
      entries.some(
        (entry) =>
          (entry.tenantSlug === null || entry.tenantSlug === tenantSlug) &&
          sameIpAddress(entry.address, address),
      ),
  };
}

/** The rule that the value breaks, or null: for the check of the configuration at start. */
export function sourceAddressesProblem(text: string): string | null {
  try {
    parseSourceAddresses(text);
    return null;
  } catch (error) {
    return error instanceof EntryError ? error.rule : String(error);
  }
}

class EntryError extends Error {
  constructor(readonly rule: string) {
    super(`KNOX_EGRESS_SOURCE_ADDRESSES ${rule}`);
  }
}

function parseEntry(text: string): Entry {
  const [addressText = '', tenantSlug = null, ...more] = text.split('@');
  if (more.length > 0 || tenantSlug === '')
    throw new EntryError(`has the entry ${text}: a tenant slug follows one @`);
  const address = parseIpAddress(addressText);
  if (!address) throw new EntryError(`has the entry ${text}, which is no IP address`);
  return { address, tenantSlug };
}
