interface Ttls {
  readonly defaultTtlSeconds: number | null;
  readonly maxTtlSeconds: number | null;
}

export interface ResolvedTtl {
  readonly seconds: number;
  /** Of a lease over its whole life, renewals included. */
  readonly maxSeconds: number;
}

/**
 * What is asked, else the role's default, else the connection's; silently cut to the lower of the two maxima, of which
 * a role need not have one (dyn-db.md §3.4). Nothing asked and nothing above zero asked are the same.
 */
export function resolveTtl(
  askedSeconds: number | null,
  role: Ttls,
  connection: { readonly defaultTtlSeconds: number; readonly maxTtlSeconds: number },
): ResolvedTtl {
  const maxSeconds = Math.min(role.maxTtlSeconds ?? connection.maxTtlSeconds, connection.maxTtlSeconds);
  const wanted =
    askedSeconds !== null && askedSeconds > 0
      ? askedSeconds
      : (role.defaultTtlSeconds ?? connection.defaultTtlSeconds);
  return { seconds: Math.min(wanted, maxSeconds), maxSeconds };
}

/** From now on, and not beyond the end that the lease was given when it was made (dyn-db.md §4). */
export function renewedExpiryMs(
  lease: { readonly ttlSeconds: number; readonly maxExpiresAtMs: number },
  askedSeconds: number | null,
  nowMs: number,
): number {
  const seconds = askedSeconds !== null && askedSeconds > 0 ? askedSeconds : lease.ttlSeconds;
  return Math.min(nowMs + seconds * 1_000, lease.maxExpiresAtMs);
}
