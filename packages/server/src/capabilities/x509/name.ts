export const NAME_ATTRIBUTES = {
  CN: '2.5.4.3',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  ST: '2.5.4.8',
  L: '2.5.4.7',
} as const;
export type NameAttribute = keyof typeof NAME_ATTRIBUTES;

/** Attributes in the order of their encoding, most general first by custom. */
export type DistinguishedName = readonly (readonly [NameAttribute, string])[];

/** Of a common name (`ub-common-name`, RFC 5280 appendix A.1). */
export const NAME_CHARACTERS_MAX = 64;

/** And of its neighbours; a country is two letters. */
const CHARACTERS_MAX: Readonly<Record<NameAttribute, number>> = {
  CN: NAME_CHARACTERS_MAX,
  O: 64,
  OU: 64,
  C: 2,
  ST: 128,
  L: 128,
};
const COUNTRY = /^[A-Za-z]{2}$/;

/** Why a text cannot stand in that attribute; null where it can. */
export function nameFault(attribute: NameAttribute, text: string): string | null {
  if (attribute === 'C' && !COUNTRY.test(text)) return 'must be a country of two letters';
  if (text === '') return 'must not be empty';
  if (/[\p{C}]/u.test(text)) return 'must not have control characters';
  const max = CHARACTERS_MAX[attribute];
  return [...text].length > max ? `must have at most ${max} characters` : null;
}

/** RFC 4514: the last attribute first, what has a meaning there escaped. */
export function nameText(name: DistinguishedName): string {
  return [...name]
    .reverse()
    .map(([attribute, text]) => `${attribute}=${escaped(text)}`)
    .join(',');
}

function escaped(text: string): string {
  return text.replace(/[\\"+,;<>]/g, '\\$&').replace(/^[ #]| $/g, '\\$&');
}
