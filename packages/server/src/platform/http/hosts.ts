import { AppError, notFound } from '../../kernel/errors.js';
import { type Mode, modeOf, type Scope } from '../../kernel/ids.js';

/** What a request's host says of it (contract README §5 "Mode", §8 `KNOX_BASE_DOMAIN`). */
export interface ResolvedHost {
  readonly kind: 'management' | 'tenant' | 'plain';
  /** `null` on a plain address: there the credential decides. */
  readonly mode: Mode | null;
  readonly tenantSlug: string | null;
  /** The name that was called, where it is one of `KNOX_CUSTOM_HOSTS`. */
  readonly customName?: string;
}

export interface Hosts {
  /** Takes raw headers, because a repeated `Host` must be seen and not folded. */
  resolve(rawHeaders: readonly string[], httpVersion: string): ResolvedHost;
  /** The label of `<label>.wrap.<base domain>`, where that form is served; null of every other host. */
  wrapLabel(rawHeaders: readonly string[], httpVersion: string): string | null;
  /** The host of inbound webhooks, where nothing else is served; throws nothing. */
  isHooks(rawHeaders: readonly string[]): boolean;
}

export interface HostsConfig {
  readonly baseDomain: string;
  /** `KNOX_PUBLIC_URL`: its host is a plain address even where it lies under the base domain. */
  readonly publicUrl: string | null;
  /** `KNOX_CUSTOM_HOSTS`: host to slug, or to `sandbox-<slug>` for that tenant's sandbox. */
  readonly customHosts: readonly { readonly host: string; readonly slug: string }[];
  /** `KNOX_WRAP_SUBDOMAINS`. */
  readonly hasWrapSubdomains?: boolean;
}

/** dataplane.md §0: labels under the base domain that are never tenants, nor mapped to anything. */
const UNMAPPED_LABELS = new Set(['api-staging', 'sandbox-staging', 'www', 'staging', 'admin']);
/** Mapped names that only planes of their own serve, or none yet. */
const UNSERVED_LABELS = new Set(['hooks', 'wrap']);

const PLAIN: ResolvedHost = { kind: 'plain', mode: null, tenantSlug: null };
/** Below it stand the hosts of gateway tokens, and nothing else is served there (dataplane.md §3.1). */
const WRAP_SUFFIX = '.wrap';
const SANDBOX_PREFIX = 'sandbox-';
const HOST_CHARACTERS_MAX = 260;
/** A name or an address, and a port. An empty one is valid (RFC 9112 §3.2). */
const HOST_HEADER = /^(?:[\w.-]*|\[[\d:.a-f]+\])(?::\d{0,5})?$/i;

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a tenant may take this slug: one DNS label that no other name of the installation needs. */
export function isTenantSlug(slug: string): boolean {
  if (!SLUG.test(slug) || slug === 'api' || slug === 'sandbox' || slug.startsWith(SANDBOX_PREFIX))
    return false;
  return !UNMAPPED_LABELS.has(slug) && !UNSERVED_LABELS.has(slug);
}

/** Whether that tenant and mode are met at that host; a plain address says neither (contract README §5). */
export function servesAt({ mode, tenantSlug }: ResolvedHost, scope: Scope, slug: string): boolean {
  return (mode === null || mode === modeOf(scope)) && (tenantSlug === null || tenantSlug === slug);
}

export function createHosts(config: HostsConfig): Hosts {
  const suffix = `.${normaliseHost(config.baseDomain)}`;
  const wrapSuffix = `${WRAP_SUFFIX}${suffix}`;
  const publicHost = config.publicUrl === null ? null : normaliseHost(new URL(config.publicUrl).host);
  const custom = new Map(config.customHosts.map(({ host, slug }) => [normaliseHost(host), slug]));

  function resolveName(name: string): ResolvedHost {
    const label = custom.get(name);
    if (label !== undefined) return { ...tenantHost(label), customName: name };
    if (name === publicHost || !name.endsWith(suffix)) return PLAIN;
    return underBase(name.slice(0, -suffix.length));
  }

  return {
    isHooks(rawHeaders) {
      const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
      return at !== -1 && normaliseHost(rawHeaders[at + 1] ?? '') === `hooks${suffix}`;
    },

    resolve(rawHeaders, httpVersion) {
      const given = hostHeader(rawHeaders, httpVersion);
      return given === null ? PLAIN : resolveName(normaliseHost(given));
    },
    wrapLabel(rawHeaders, httpVersion) {
      if (!config.hasWrapSubdomains) return null;
      const name = normaliseHost(hostHeader(rawHeaders, httpVersion) ?? '');
      return name.endsWith(wrapSuffix) && !custom.has(name) ? name.slice(0, -wrapSuffix.length) : null;
    },
  };
}

function underBase(label: string): ResolvedHost {
  if (label === 'api') return { kind: 'management', mode: 'live', tenantSlug: null };
  if (label === 'sandbox') return { kind: 'management', mode: 'test', tenantSlug: null };
  if (UNSERVED_LABELS.has(label) || label.endsWith(WRAP_SUFFIX)) throw notFound();
  if (label === '' || label.includes('.') || UNMAPPED_LABELS.has(label)) return PLAIN;
  return tenantHost(label);
}

function tenantHost(label: string): ResolvedHost {
  return label.startsWith(SANDBOX_PREFIX)
    ? { kind: 'tenant', mode: 'test', tenantSlug: label.slice(SANDBOX_PREFIX.length) }
    : { kind: 'tenant', mode: 'live', tenantSlug: label };
}

/** RFC 9112 §3.2: exactly one `Host`, save that HTTP/1.0 may leave it out. */
function hostHeader(rawHeaders: readonly string[], httpVersion: string): string | null {
  let found: string | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== 4 || rawHeaders[i]!.toLowerCase() !== 'host') continue;
    if (found !== null) throw new AppError('validation_error', 'The request has more than one Host header');
    found = rawHeaders[i + 1] ?? '';
  }
  if (found !== null && found.length > HOST_CHARACTERS_MAX)
    throw new AppError('validation_error', 'The Host header is too long');
  if (found !== null && !HOST_HEADER.test(found))
    throw new AppError('validation_error', 'The Host header is not a name or an address');
  if (found === null && httpVersion !== '1.0')
    throw new AppError('validation_error', 'The request has no Host header');
  return found;
}

/** Lower case, without port and without the root's trailing dot. An IPv6 literal stays whole: it maps to nothing. */
function normaliseHost(host: string): string {
  const lower = host.trim().toLowerCase();
  if (lower.startsWith('[')) return lower;
  const colon = lower.indexOf(':');
  const name = colon === -1 ? lower : lower.slice(0, colon);
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
