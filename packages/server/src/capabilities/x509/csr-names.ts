import { AsnConvert } from '@peculiar/asn1-schema';
import { type Extension, type GeneralName, type Name, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { formatIpAddress, parseIpAddress } from '../../kernel/ip-address.js';
import { CsrRefused } from './csr-refused.js';
import { type DistinguishedName, NAME_ATTRIBUTES, type NameAttribute, nameFault } from './name.js';

export interface RequestedNames {
  /** As they stand there: of whatever case. */
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  /** Alternative names of other kinds, as `uri:urn:a`. */
  readonly others: readonly string[];
}

const NAMES_MAX = 100;
const ATTRIBUTES_MAX = 20;
/** RFC 1035 §2.3.4; and of what else may be named. */
const NAME_BYTES_MAX = 1_024;
const PRINTABLE = /^[\x21-\x7e]+$/;

const ATTRIBUTES = new Map<string, NameAttribute>(
  Object.entries(NAME_ATTRIBUTES).map(([attribute, id]) => [id, attribute as NameAttribute]),
);

/** Attributes that are not known are left out: what is certified is what can be said of it. */
export function subjectIn(name: Name): DistinguishedName | null {
  const parts = [...name].flatMap((part) => [...part]);
  if (parts.length > ATTRIBUTES_MAX)
    throw new CsrRefused(`its subject has more than ${ATTRIBUTES_MAX} attributes`);
  const known = parts.flatMap(({ type, value }) => {
    const attribute = ATTRIBUTES.get(type);
    return attribute ? [[attribute, checked(attribute, value.toString())] as const] : [];
  });
  if (known.filter(([attribute]) => attribute === 'CN').length > 1)
    throw new CsrRefused('its subject has more than one CN');
  return known.length > 0 ? known : null;
}

function checked(attribute: NameAttribute, text: string): string {
  const fault = nameFault(attribute, text);
  if (fault !== null) throw new CsrRefused(`${attribute} of its subject ${fault}`);
  return text;
}

export function alternativeNamesIn(extension: Extension | null): RequestedNames {
  const names = extension ? [...generalNames(extension)] : [];
  if (names.length > NAMES_MAX) throw new CsrRefused(`it has more than ${NAMES_MAX} alternative names`);
  const dns: string[] = [];
  const ips: string[] = [];
  const others: string[] = [];
  for (const name of names) {
    if (name.dNSName !== undefined) dns.push(printable(name.dNSName, 'DNS name'));
    else if (name.iPAddress !== undefined) ips.push(ipOf(name.iPAddress));
    else others.push(printable(otherOf(name), 'alternative name'));
  }
  return { dns, ips, others };
}

function generalNames(extension: Extension): SubjectAlternativeName {
  try {
    return AsnConvert.parse(extension.extnValue.buffer, SubjectAlternativeName);
  } catch {
    throw new CsrRefused('its alternative names cannot be read');
  }
}

/** Nothing that ends a text early for others who read it, or looks like what it is not. */
function printable(text: string, kind: string): string {
  if (text.length > NAME_BYTES_MAX || !PRINTABLE.test(text))
    throw new CsrRefused(`a ${kind} of it is empty, too long or has characters that have no place there`);
  return text;
}

function ipOf(text: string): string {
  const address = parseIpAddress(text);
  if (!address) throw new CsrRefused('an IP address of it has neither 4 nor 16 bytes');
  return formatIpAddress(address);
}

function otherOf(name: GeneralName): string {
  if (name.uniformResourceIdentifier !== undefined) return `uri:${name.uniformResourceIdentifier}`;
  if (name.rfc822Name !== undefined) return `email:${name.rfc822Name}`;
  if (name.registeredID !== undefined) return `registered-id:${name.registeredID}`;
  if (name.otherName) return `other:${name.otherName.typeId}`;
  return name.directoryName ? 'directory' : 'unknown';
}
