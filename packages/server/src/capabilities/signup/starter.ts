import type { Origins } from '../../platform/http/origins.js';
import type { Claim } from './service.js';

const PLAIN = { kind: 'plain', mode: null, tenantSlug: null } as const;

export function plainOrigin(origins: Origins): string {
  return origins.of(PLAIN);
}

export function documentationAt(origins: Origins): string {
  return `${plainOrigin(origins)}/docs`;
}

/** What a new tenant begins with: a key of its sandbox, and where that is. */
export function readyWire({ tenant, apiKey }: Extract<Claim, { status: 'ready' }>, origins: Origins) {
  const { id, slug, name, region, plan } = tenant;
  const managementApi = apiOf(origins);
  const proxyHost = new URL(origins.of({ kind: 'tenant', mode: 'test', tenantSlug: slug })).host;
  return {
    status: 'ready',
    tenant: { id, slug, name, region, plan },
    starter: {
      route: null,
      api_key: {
        id: apiKey.id,
        key_id: apiKey.keyId,
        api_key: apiKey.apiKey.reveal(),
        key_prefix: apiKey.prefix,
        key_type: apiKey.type,
      },
      sandbox_host: proxyHost,
      curl: `curl -H 'Authorization: Bearer ${apiKey.apiKey.reveal()}' ${managementApi}/v1/account`,
    },
    sandbox: {
      management_api: managementApi,
      proxy_host: proxyHost,
      note: 'A world of its own beside the live one: nothing in it is metered, and no key of the one sees the other.',
    },
    documentation: documentationAt(origins),
  };
}

/** Programs do not resolve names under localhost; there the key decides the mode (contract README §5). */
function apiOf(origins: Origins): string {
  const sandbox = origins.of({ kind: 'management', mode: 'test', tenantSlug: null });
  return new URL(sandbox).hostname.endsWith('.localhost') ? plainOrigin(origins) : sandbox;
}
