import { isTenantSlug } from '../../platform/http/hosts.js';

const CHARACTERS_MAX = 40;
const NUMBERED_MAX = 9;
const FALLBACK = 'tenant';

/** A slug made of a name: its letters and digits without accents. */
export function slugOf(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  const slug = plain.slice(0, CHARACTERS_MAX).replace(/^-+|-+$/g, '');
  return isTenantSlug(slug) ? slug : FALLBACK;
}

/** What is tried in turn until one is free: the slug, the slug with a number, the slug with `random` letters. */
export function* slugsLike(slug: string, random: () => string): Generator<string> {
  yield slug;
  const stem = slug.slice(0, CHARACTERS_MAX).replace(/-+$/, '');
  for (let n = 2; n <= NUMBERED_MAX; n++) yield `${stem}-${n}`;
  for (;;) yield `${stem}-${random()}`;
}
