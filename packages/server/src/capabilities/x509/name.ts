export const NAME_ATTRIBUTES = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11' } as const;

/** Attributes in the order of their encoding, most general first by custom. */
export type DistinguishedName = readonly (readonly [keyof typeof NAME_ATTRIBUTES, string])[];

/** Characters of each of these attributes, RFC 5280 appendix A.1 (`ub-common-name` and its neighbours). */
export const NAME_CHARACTERS_MAX = 64;

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
