/** An IP literal: a name could be pointed elsewhere (RFC 8252 §8.3). */
const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::\d{1,5})?(\/.*)?$/;

/**
 * Whether a client may be answered there: text by text (RFC 9700 §4.1.3), save that a native client gets its port from
 * the system when it starts (RFC 8252 §7.3).
 */
export function isRegistered(asked: string, registered: readonly string[]): boolean {
  if (registered.includes(asked)) return true;
  const portless = withoutLoopbackPort(asked);
  return portless !== null && registered.some((uri) => withoutLoopbackPort(uri) === portless);
}

function withoutLoopbackPort(uri: string): string | null {
  const parts = LOOPBACK.exec(uri);
  return parts && `${parts[1]}${parts[2] ?? ''}`;
}

/** RFC 6749 §4.1.2: added to the query that is there; the rest of the text stays as it was registered. */
export function redirectTo(uri: string, params: Readonly<Record<string, string | null>>): string {
  const present = Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== null);
  return `${uri}${uri.includes('?') ? '&' : '?'}${new URLSearchParams(present)}`;
}
