import { type DistinguishedName, type NameAttribute, nameFault } from '../x509/index.js';

/** The fields of a distinguished name by the short names under which they are stored (clients-pki.md §3.2). */
export type SubjectFields = { readonly [Attribute in NameAttribute]?: string };

/** Most general first, as directories have it. */
const ORDER: readonly NameAttribute[] = ['C', 'ST', 'L', 'O', 'OU', 'CN'];

/** By every key that a call may name them with. */
export const SUBJECT_KEYS = {
  CN: 'CN',
  O: 'O',
  OU: 'OU',
  C: 'C',
  ST: 'ST',
  L: 'L',
  common_name: 'CN',
  organization: 'O',
  organizational_unit: 'OU',
  country: 'C',
  province: 'ST',
  state: 'ST',
  locality: 'L',
} as const satisfies Record<string, NameAttribute>;
export type SubjectKey = keyof typeof SUBJECT_KEYS;

/** What a certificate has of its root where the call says nothing (§3.3). */
const INHERITED: ReadonlySet<NameAttribute> = new Set(['C', 'ST', 'L', 'O']);

interface Fault {
  readonly key: string;
  readonly rule: string;
}

/** Under short names, and what is wrong with it, by the key that was sent. */
export function readSubject(given: Readonly<Partial<Record<SubjectKey, string>>>): {
  readonly fields: SubjectFields;
  readonly faults: readonly Fault[];
} {
  const fields: { [Attribute in NameAttribute]?: string } = {};
  const from = new Map<NameAttribute, string>();
  const faults: Fault[] = [];
  for (const [key, text] of Object.entries(given) as [SubjectKey, string][]) {
    const attribute = SUBJECT_KEYS[key];
    const rule = nameFault(attribute, text);
    if (rule !== null) faults.push({ key, rule });
    if (from.has(attribute))
      faults.push({ key, rule: `is the same field as ${from.get(attribute)}: give one` });
    from.set(attribute, key);
    fields[attribute] = attribute === 'C' ? text.toUpperCase() : text;
  }
  return { fields, faults };
}

export function distinguishedName(fields: SubjectFields): DistinguishedName {
  return ORDER.flatMap((attribute) => {
    const text = fields[attribute];
    return text === undefined ? [] : [[attribute, text] as const];
  });
}

/** With those fields of the root that the name has not got, in front, as they are more general. */
export function withInherited(name: DistinguishedName, root: DistinguishedName): DistinguishedName {
  const given = new Set(name.map(([attribute]) => attribute));
  return [...root.filter(([attribute]) => INHERITED.has(attribute) && !given.has(attribute)), ...name];
}
