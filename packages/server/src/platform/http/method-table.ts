/** Which methods a path has, for 405 and `Allow`. Asked only after the router found nothing. */
export interface MethodTable {
  add(method: string | string[], pattern: string): void;
  allowed(path: string): string[];
}

export function createMethodTable(): MethodTable {
  const patterns = new Map<string, { matches: RegExp; methods: Set<string> }>();
  return {
    add(method, pattern) {
      let entry = patterns.get(pattern);
      if (!entry) {
        entry = { matches: patternExpression(pattern), methods: new Set() };
        patterns.set(pattern, entry);
      }
      for (const one of [method].flat()) entry.methods.add(one);
    },
    allowed(path) {
      const methods = new Set<string>();
      for (const entry of patterns.values()) {
        if (entry.matches.test(path)) for (const method of entry.methods) methods.add(method);
      }
      return [...methods].sort();
    },
  };
}

/** `/v1/vaults/:name` and a closing `*`; no nested quantifier, so matching is linear in the path. */
function patternExpression(pattern: string): RegExp {
  const parts = pattern.split('/').map((part) => {
    if (part.startsWith(':')) return '[^/]+';
    if (part === '*') return '.*';
    return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`, 's');
}
