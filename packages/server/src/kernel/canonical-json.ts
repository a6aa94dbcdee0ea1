/**
 * RFC 8785 canonical JSON: one text for one value, so that a hash over it can be recomputed (auth.md §8.2).
 * `JSON.stringify` already writes numbers and texts as the RFC asks; only the order of members is ours.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    // UTF-16 code unit order (RFC 8785 §3.2.3) is what `sort` without a comparator gives.
    const names = Object.keys(member).sort();
    return new Map(names.map((name) => [name, (member as Record<string, unknown>)[name]]));
  });
}
