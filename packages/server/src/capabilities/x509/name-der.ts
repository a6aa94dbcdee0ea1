import { AsnConvert } from '@peculiar/asn1-schema';
import { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } from '@peculiar/asn1-x509';
import { type DistinguishedName, NAME_ATTRIBUTES } from './name.js';

export function nameDer(name: DistinguishedName): Buffer {
  const parts = name.map(
    ([attribute, text]) =>
      new RelativeDistinguishedName([
        new AttributeTypeAndValue({
          type: NAME_ATTRIBUTES[attribute],
          // RFC 5280 appendix A.1: a country is a PrintableString.
          value: new AttributeValue(attribute === 'C' ? { printableString: text } : { utf8String: text }),
        }),
      ]),
  );
  return Buffer.from(AsnConvert.serialize(new Name(parts)));
}
