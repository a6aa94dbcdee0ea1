/** Peers spell the same few names the same way; beyond this many spellings each is judged anew. */
const KNOWN_SPELLINGS_MAX = 1000;

/** Judges each spelling of a header name once: it is asked for every header of every call. */
export function judgedOnce<Fate>(fateOf: (name: string) => Fate): (name: string) => Fate {
  const known = new Map<string, Fate>();
  return (name) => {
    const kept = known.get(name);
    if (kept !== undefined) return kept;
    const fate = fateOf(name);
    if (known.size < KNOWN_SPELLINGS_MAX) known.set(name, fate);
    return fate;
  };
}

/** A flat name, value list without those names, which are in lower case. */
export function withoutNamed(headers: readonly string[], named: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!named.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}
