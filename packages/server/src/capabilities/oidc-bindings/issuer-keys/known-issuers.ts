import { LIMITS } from '../../../kernel/limits.js';
import type { Asker, KeySet } from './issuer-documents.js';

/** What is known of an issuer, on behalf of one tenant. */
export interface KnownIssuer {
  held: KeySet | null;
  fetchedAtMs: number;
  /** When the last fetch began, good or not. */
  askedAtMs: number;
  failure: string;
  fetching: Promise<void> | null;
}

export interface KnownIssuers {
  /** Made where there is none yet. */
  of(asker: Asker, issuer: string): KnownIssuer;
  /** After a key set has come. */
  trim(): void;
  readonly size: number;
}

/** Bounded by number and by the size of what is held; what was asked for longest ago leaves first. */
export function createKnownIssuers(neverAskedMs: () => number): KnownIssuers {
  const known = new Map<string, KnownIssuer>();

  return {
    of({ tenantSlug }, issuer) {
      const key = `${tenantSlug} ${issuer}`;
      const found = known.get(key) ?? {
        held: null,
        fetchedAtMs: 0,
        askedAtMs: neverAskedMs(),
        failure: '',
        fetching: null,
      };
      known.delete(key);
      known.set(key, found);
      if (known.size > LIMITS.jwksIssuersMax) known.delete(known.keys().next().value!);
      return found;
    },
    trim() {
      let bytes = [...known.values()].reduce((sum, { held }) => sum + (held?.bytes ?? 0), 0);
      for (const [key, { held }] of known) {
        if (bytes <= LIMITS.jwksHeldBytesMax) return;
        bytes -= held?.bytes ?? 0;
        known.delete(key);
      }
    },
    get size() {
      return known.size;
    },
  };
}
