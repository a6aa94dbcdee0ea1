import { judgedOnce, withoutNamed } from './header-fates.js';

type Fate = 'pass' | 'strip' | 'connection' | 'request-id';

const FATES: ReadonlyMap<string, Fate> = new Map<string, Fate>([
  ['connection', 'connection'],
  ['x-request-id', 'request-id'],
  ...[
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'trailers',
    'transfer-encoding',
    'upgrade',
    'proxy-authenticate',
    'proxy-authorization',
  ].map((name) => [name, 'strip'] as const),
]);

const fateOf = judgedOnce((name): Fate => {
  const lower = name.toLowerCase();
  return FATES.get(lower) ?? (lower.startsWith('x-knox-') ? 'strip' : 'pass');
});

/** The upstream's headers as the caller may see them (dataplane §1.4): no marker of ours can be forged. */
export function passedHeaders(rawHeaders: readonly string[]): string[] {
  const out: string[] = [];
  let named: Set<string> | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    switch (fateOf(name)) {
      case 'pass':
        out.push(name, value);
        break;
      case 'request-id':
        out.push('X-Knox-Upstream-Request-Id', value);
        break;
      case 'connection':
        named ??= new Set();
        for (const one of value.toLowerCase().split(',')) named.add(one.trim());
        break;
      case 'strip':
        break;
    }
  }
  return named === null ? out : withoutNamed(out, named);
}

export function hasRateLimit(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.toLowerCase().startsWith('x-ratelimit-')) return true;
  return false;
}

export function headerValue(rawHeaders: readonly string[], lowerName: string): string | null {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return rawHeaders[i + 1]!;
  }
  return null;
}
