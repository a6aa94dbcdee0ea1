import type { ResolvedHost } from '../../../platform/http/hosts.js';
import type { Origins } from '../../../platform/http/origins.js';

/** For whom passkeys are made (WebAuthn §5.1.2), and which pages may ask for one. */
export interface RelyingParty {
  readonly id: string;
  readonly origins: readonly string[];
}

const PLAIN: ResolvedHost = { kind: 'plain', mode: null, tenantSlug: null };
const MODES = ['live', 'test'] as const;

/**
 * The base domain where the public URL lies under it, so that one passkey serves all of its hosts; a public URL elsewhere
 * is one of its own. Of the tenants' hosts only those of the user's tenants count: what another tenant serves on its
 * host could ask for a passkey of the domain and hand on what it got.
 */
export function relyingPartyOf(origins: Origins, tenantSlugs: readonly string[]): RelyingParty {
  const plain = new URL(origins.of(PLAIN));
  const management = MODES.map((mode) => origins.of({ kind: 'management', mode, tenantSlug: null }));
  const base = new URL(management[0]!).hostname.replace(/^api\./, '');
  const isElsewhere = !isUnder(plain.hostname, base) && !isAddress(plain.hostname);
  const id = isElsewhere ? plain.hostname : base;
  const ofTenants = tenantSlugs.flatMap((tenantSlug) =>
    MODES.map((mode) => origins.of({ kind: 'tenant', mode, tenantSlug })),
  );
  const port = plain.port === '' ? '' : `:${plain.port}`;
  const all = [`${plain.protocol}//${id}${port}`, plain.origin, ...management, ...ofTenants];
  // A browser asks for the passkeys of a name on its own hosts alone.
  return { id, origins: [...new Set(all)].filter((origin) => isUnder(new URL(origin).hostname, id)) };
}

function isUnder(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

function isAddress(name: string): boolean {
  return name.startsWith('[') || /^[\d.]+$/.test(name);
}
