import { assert } from './assert.js';

/**
 * RFC 8785 canonical JSON: one text for one value, so that a hash over it can be recomputed (auth.md §8.2).
 * `JSON.stringify` already writes numbers and texts as the RFC asks; the order of members is UTF-16 code units
 * (§3.2.3), which is what `sort` without a comparator gives.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const object = value as Record<string, unknown>;
    let members = '';
    for (const name of Object.keys(object).sort()) {
      const member = object[name];
      if (member === undefined) continue;
      members += `${members === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`;
    }
    return `{${members}}`;
  }
  assert(
    typeof value !== 'number' || Number.isFinite(value),
    'no canonical JSON for a number that is not finite',
  );
  const text = JSON.stringify(value) as string | undefined;
  assert(text !== undefined, `no canonical JSON for ${typeof value}`);
  return text;
}
