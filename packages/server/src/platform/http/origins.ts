import type { HostsConfig, ResolvedHost } from './hosts.js';

/**
 * Public origin of what a request was sent to (contract README §5): issuer, `htu` and links are made of it, never of the
 * raw `Host`, which a caller writes.
 */
export interface Origins {
  of(host: ResolvedHost): string;
  /** Of a gateway token's own name under the base domain. */
  ofWrapLabel(label: string): string;
}

/** `publicUrl` is asked at each call: without `KNOX_PUBLIC_URL` it is known once the server listens. */
export function createOrigins(
  { baseDomain }: Pick<HostsConfig, 'baseDomain'>,
  publicUrl: () => string,
): Origins {
  const base = baseDomain.toLowerCase();
  let text = '';
  let known = { origin: '', protocol: '', port: '' };

  function parsed(): typeof known {
    const present = publicUrl();
    if (present === text) return known;
    text = present;
    const { origin, protocol, port } = new URL(present);
    known = { origin, protocol, port: port === '' ? '' : `:${port}` };
    return known;
  }

  return {
    ofWrapLabel(label) {
      const { protocol, port } = parsed();
      return `${protocol}//${label}.wrap.${base}${port}`;
    },
    of(host) {
      const { origin, protocol, port } = parsed();
      const name = host.customName ?? mappedName(host, base);
      // Its scheme and port also serve the mapped names (contract README §8).
      return name === null ? origin : `${protocol}//${name}${port}`;
    },
  };
}

function mappedName({ kind, mode, tenantSlug }: ResolvedHost, base: string): string | null {
  if (kind === 'plain') return null;
  if (kind === 'management') return `${mode === 'test' ? 'sandbox' : 'api'}.${base}`;
  return `${mode === 'test' ? 'sandbox-' : ''}${tenantSlug}.${base}`;
}
