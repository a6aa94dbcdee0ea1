import { isLoopbackHost } from '../../kernel/ip-address.js';

/** Which rule a redirect URI of a client breaks (auth.md §2.9, RFC 6749 §3.1.2); null = none. */
export function redirectUriProblem(text: string): string | null {
  // What a URL parser would drop or repair is no exact text to compare with, and no `Location` holds what is not ASCII.
  if (/[^\x21-\x7e]|\\/.test(text)) return 'must be an absolute URI';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'must be an absolute URI';
  }
  if (text.includes('#')) return 'must have no fragment';
  if (url.username !== '' || url.password !== '') return 'must name no user';
  if (url.protocol === 'https:') return null;
  if (url.protocol === 'http:' && isLoopbackHost(url.hostname)) return null;
  return 'must be https:, or http: on loopback';
}
