import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AccessDescription,
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  ExtendedKeyUsage,
  Extension,
  GeneralName,
  id_ad_ocsp,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_cRLDistributionPoints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  id_pe_authorityInfoAccess,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509';

import { assert } from '../../kernel/assert.js';
import { formatIpAddress, parseIpAddress } from '../../kernel/ip-address.js';

export const KEY_PURPOSES = { client: id_kp_clientAuth, server: id_kp_serverAuth } as const;
export type KeyPurpose = keyof typeof KEY_PURPOSES;

export function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** Of an authority; `pathLength` 0: what it signs signs nothing. */
export function authorityExtensions(pathLength: number): Extension[] {
  const usage = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  return [
    extension(
      id_ce_basicConstraints,
      new BasicConstraints({ cA: true, pathLenConstraint: pathLength }),
      true,
    ),
    extension(id_ce_keyUsage, new KeyUsage(usage), true),
  ];
}

/** Of DNS in A-labels. */
export interface AlternativeNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly uris: readonly string[];
}

/** RFC 5280 §4.2.1.6: the alternative names are critical where there is no other name. */
export function leafExtensions(
  purposes: readonly KeyPurpose[],
  { dns, ips, uris }: AlternativeNames,
  isNameless: boolean,
): Extension[] {
  const names = [
    ...dns.map((dNSName) => new GeneralName({ dNSName })),
    ...ips.map((ip) => new GeneralName({ iPAddress: canonicalIp(ip) })),
    ...uris.map((uniformResourceIdentifier) => new GeneralName({ uniformResourceIdentifier })),
  ];
  return [
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage(purposes.map((purpose) => KEY_PURPOSES[purpose]))),
    ...(names.length > 0
      ? [extension(id_ce_subjectAltName, new SubjectAlternativeName(names), isNameless)]
      : []),
  ];
}

/** The encoder reads no other form of an address. */
function canonicalIp(text: string): string {
  const address = parseIpAddress(text);
  assert(address, 'an alternative name is no IP address');
  return formatIpAddress(address);
}

export function subjectKeyId(keyId: Buffer): Extension {
  return extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyId));
}

export function authorityKeyId(keyId: Buffer): Extension {
  const identifier = new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyId) });
  return extension(id_ce_authorityKeyIdentifier, identifier);
}

/** Where an issuer says what it has revoked. */
export interface StatusUrls {
  readonly crl: string;
  readonly ocsp: string;
}

export function statusExtensions({ crl, ocsp }: StatusUrls): Extension[] {
  const at = (uniformResourceIdentifier: string) => new GeneralName({ uniformResourceIdentifier });
  const point = new DistributionPoint({
    distributionPoint: new DistributionPointName({ fullName: [at(crl)] }),
  });
  const responder = new AccessDescription({ accessMethod: id_ad_ocsp, accessLocation: at(ocsp) });
  return [
    extension(id_ce_cRLDistributionPoints, new CRLDistributionPoints([point])),
    extension(id_pe_authorityInfoAccess, new AuthorityInfoAccessSyntax([responder])),
  ];
}
