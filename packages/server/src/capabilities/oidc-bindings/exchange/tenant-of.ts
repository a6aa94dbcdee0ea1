import type { Scope, TenantId } from '../../../kernel/ids.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { ResolvedHost } from '../../../platform/http/hosts.js';
import type { Accounts, Tenant } from '../../accounts/index.js';
import { anchorsFor } from '../matching/anchors.js';
import { bindingMatches, mostSpecific } from '../matching/matching.js';
import { TENANT_AUDIENCE_PREFIX } from '../service.js';
import type { OidcBinding, OidcBindingStore } from '../store.js';
import { type Assertion, AssertionRefused } from './assertion.js';
import type { ExchangeStore } from './store.js';

/** Whose the assertion is, and by which binding it is let in. */
export interface Admission {
  readonly tenant: Tenant;
  readonly scope: Scope;
  readonly binding: OidcBinding;
  /** The signed audience named the tenant, so that the subject becomes its own. */
  readonly isNamedByAudience: boolean;
}

/** The tenant is known, and does not let the assertion in. */
export class NotAdmitted extends AssertionRefused {
  constructor(
    readonly tenantId: TenantId,
    reason: string,
  ) {
    super('binding', reason);
  }
}

export interface TenantOfDeps {
  readonly bindings: Pick<OidcBindingStore, 'listOfIssuer'>;
  readonly exchanges: Pick<ExchangeStore, 'claimant' | 'findByAnchors'>;
  readonly accounts: Pick<Accounts, 'tenantBySlug' | 'tenantById'>;
}

/** What the request itself says of the tenant. */
export interface TenantHints {
  readonly host: Pick<ResolvedHost, 'mode' | 'tenantSlug'>;
  readonly tenant: string | undefined;
}

/** Beyond that many bindings under the anchors of one assertion its tenant counts as not found. */
const FOUND_MAX = 5_000;

export function createTenantOf(deps: TenantOfDeps) {
  const { bindings, exchanges, accounts } = deps;

  /** Only that tenant's bindings count, so that no other tenant's changes the result. */
  async function ofNamed(
    assertion: Assertion,
    slug: string,
    sandboxes: readonly boolean[],
  ): Promise<Admission> {
    const tenant = await accounts.tenantBySlug(slug);
    if (!tenant) throw new AssertionRefused('binding', noBinding(assertion));
    let hasIssuer = false;
    for (const sandbox of sandboxes) {
      const scope = { tenantId: tenant.id, sandbox };
      const ofIssuer = await bindings.listOfIssuer(scope, assertion.issuer);
      hasIssuer ||= ofIssuer.length > 0;
      const matching = ofIssuer.filter((binding) => bindingMatches(binding, assertion));
      if (matching.length > 0) return admitted(assertion, tenant, scope, matching);
    }
    throw new NotAdmitted(tenant.id, hasIssuer ? NO_MATCH : noBinding(assertion));
  }

  async function ofBare(
    assertion: Assertion,
    sandboxes: readonly boolean[],
    nowMs: number,
  ): Promise<Admission> {
    for (const sandbox of sandboxes) {
      const tenantId =
        (await exchanges.claimant(subjectHash(assertion, sandbox))) ??
        (await onlyTenant(assertion, sandbox, nowMs));
      if (tenantId === 'none') continue;
      const tenant = tenantId === 'several' ? undefined : await accounts.tenantById(tenantId);
      if (!tenant) break;
      const scope = { tenantId: tenant.id, sandbox };
      const ofIssuer = await bindings.listOfIssuer(scope, assertion.issuer);
      const matching = ofIssuer.filter((binding) => binding.enabled && bindingMatches(binding, assertion));
      if (matching.length === 0) break;
      return admitted(assertion, tenant, scope, matching);
    }
    throw new AssertionRefused('tenant', nameTheTenant(assertion));
  }

  /** The one tenant that could be meant; bindings that are off or were deleted lately make it one that could. */
  async function onlyTenant(
    assertion: Assertion,
    sandbox: boolean,
    nowMs: number,
  ): Promise<TenantId | 'none' | 'several'> {
    const found = await exchanges.findByAnchors(sandbox, anchorsFor(assertion), nowMs, FOUND_MAX + 1);
    if (found.length > FOUND_MAX) return 'several';
    const matching = found.filter((binding) => bindingMatches(binding, assertion));
    const [only = 'none', ...more] = new Set(matching.map(({ tenantId }) => tenantId));
    return more.length > 0 ? 'several' : only;
  }

  return {
    /** Throws `AssertionRefused`; the text never tells of a tenant that was not named. */
    async admit(assertion: Assertion, hints: TenantHints, nowMs: number): Promise<Admission> {
      const byAudience = assertion.audiences
        .filter((audience) => audience.startsWith(TENANT_AUDIENCE_PREFIX))
        .map((audience) => audience.slice(TENANT_AUDIENCE_PREFIX.length));
      const named = new Set([...byAudience, ...[hints.host.tenantSlug ?? [], hints.tenant ?? []].flat()]);
      if (named.size > 1)
        throw new AssertionRefused(
          'tenant',
          'The audience, the host and the field tenant name different tenants',
        );
      const { mode } = hints.host;
      // On a plain address the binding decides: one of live mode, if there is any, then one of test mode.
      const sandboxes = mode === null ? [false, true] : [mode === 'test'];
      const [slug] = named;
      return slug === undefined ? ofBare(assertion, sandboxes, nowMs) : ofNamed(assertion, slug, sandboxes);
    },
  };
}

function admitted(
  assertion: Assertion,
  tenant: Tenant,
  scope: Scope,
  matching: readonly OidcBinding[],
): Admission {
  const binding = mostSpecific(matching.filter(({ enabled }) => enabled));
  if (!binding) throw new NotAdmitted(tenant.id, NO_MATCH);
  const isNamedByAudience = assertion.audiences.includes(`${TENANT_AUDIENCE_PREFIX}${tenant.slug}`);
  return { tenant, scope, binding, isNamedByAudience };
}

export function subjectHash(
  { issuer, subject }: Pick<Assertion, 'issuer' | 'subject'>,
  sandbox: boolean,
): Buffer {
  return sha256(JSON.stringify([sandbox ? 'test' : 'live', issuer, subject]));
}

const NO_MATCH = 'No OIDC binding of the tenant matches the subject and the claims of the assertion';

function noBinding({ issuer }: Assertion): string {
  return `No OIDC binding for the issuer ${issuer}`;
}

function nameTheTenant({ issuer }: Assertion): string {
  return `No OIDC binding for the issuer ${issuer} can be told for an assertion that names no tenant: ask the issuer for the audience ${TENANT_AUDIENCE_PREFIX}<tenant slug>, send the field tenant, or call the host of the tenant`;
}
