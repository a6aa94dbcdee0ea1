/** First segments of paths that are the server's own (contract README §5). */
const RESERVED: ReadonlySet<string> = new Set([
  ...['api', 'app', 'admin', 'agent', 'assets', 'auth', 'docs', 'healthz', 'hooks', 'metrics', 'oauth'],
  ...['openapi.json', 'pki', 'proxy', 'readyz', 'v1', 'wg', '.well-known'],
]);

export const SLUG_CHARACTERS_MAX = 63;
/** Of one name: whoever has more routes of it gives them slugs. */
const DERIVED_MAX = 20;

export function isReservedSlug(slug: string): boolean {
  return RESERVED.has(slug);
}

/** Slugs that a name may become, in the order in which they are tried; none where nothing of it can stand in a path. */
export function slugsOf(name: string): string[] {
  const stem = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  const slug = trimmed(stem, SLUG_CHARACTERS_MAX);
  if (slug === '') return [];
  const further = Array.from({ length: DERIVED_MAX - 1 }, (_, index) => {
    const end = `-${index + 2}`;
    return trimmed(slug, SLUG_CHARACTERS_MAX - end.length) + end;
  });
  return isReservedSlug(slug) ? further : [slug, ...further];
}

function trimmed(text: string, charactersMax: number): string {
  return text.replace(/^-+/, '').slice(0, charactersMax).replace(/-+$/, '');
}
