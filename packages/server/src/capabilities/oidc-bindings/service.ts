import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError, validationErrors } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import type { Generations } from '../../platform/cache/generations.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { credentialGeneration } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { type Decision, firstBeyond, type Permissions, seededKeyRole } from '../permissions/index.js';
import { bindingEntry } from './audit.js';
import { privilegeEscalation, roleNotForTokens, tooManyBindings, tooManyDeletedBindings } from './errors.js';
import { createExchangeStore } from './exchange/store.js';
import type { IssuerKeys } from './issuer-keys/issuer-keys.js';
import { anchorsOf } from './matching/anchors.js';
import { narrowingProblems } from './providers/narrowing.js';
import { type Provider, providerOf } from './providers/profiles.js';
import {
  type BindingAccess,
  type BindingListOptions,
  type BindingTerms,
  createOidcBindingStore,
  type OidcBinding,
} from './store.js';

/** What is left out is found by the issuer, or is the tenant's usual. */
export type BindingInput = Omit<BindingTerms, 'name' | 'provider' | 'audiences'> & {
  readonly name: string | undefined;
  readonly provider: Provider | undefined;
  readonly audiences: readonly string[] | undefined;
};

export interface OidcBindings {
  create(caller: Caller, input: BindingInput): Promise<OidcBinding>;
  list(caller: Caller, options: BindingListOptions): Promise<Page<OidcBinding>>;
  get(caller: Caller, id: string): Promise<OidcBinding>;
  update(caller: Caller, id: string, changes: Partial<BindingTerms>): Promise<OidcBinding>;
  delete(caller: Caller, id: string): Promise<void>;
  /** What tokens of that binding may do at present; null where it is off or gone, and they are good for nothing. */
  decisionOf(scope: Scope, id: string): Promise<Decision | null>;
  /** Spent assertions and deleted bindings whose time is over, at most `rowsMax` of each. */
  removeEnded(rowsMax: number): Promise<{ readonly rows: number; readonly hasMore: boolean }>;
}

export interface OidcBindingsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  readonly issuerKeys: Pick<IssuerKeys, 'checkIssuer'>;
}

/** Audiences that name a tenant (contract README §4). */
export const TENANT_AUDIENCE_PREFIX = 'knoxcall:api:';
export const MANAGEMENT_AUDIENCE = 'knoxcall:api';
export const GATEWAY_AUDIENCE = 'knoxcall:gateway';

export function createOidcBindings(deps: OidcBindingsDeps): OidcBindings {
  const { db, clock, ids, generations, auditLogs, permissions, issuerKeys } = deps;
  const store = createOidcBindingStore(db);
  const exchanges = createExchangeStore(db);

  async function getBinding(scope: Scope, id: string, tx?: Transaction): Promise<OidcBinding> {
    const binding = isUuid(id) ? await store.find(scope, id, tx) : undefined;
    if (!binding) throw notFound('OIDC binding');
    return binding;
  }

  const decisionOf = ({ tenantId }: Scope, access: BindingAccess): Promise<Decision> =>
    permissions.decisionOfKey(tenantId, {
      full: false,
      roleIds: 'roleIds' in access ? access.roleIds : [],
      grants: 'scopes' in access ? access.scopes.map((permission) => ({ permission, resource: null })) : [],
    });

  /** Whoever says whom a binding lets in hands on what it gives. */
  async function requireHeld({ scope, grants }: Principal, access: BindingAccess): Promise<void> {
    const stranger = 'roleIds' in access ? access.roleIds.find((id) => !seededKeyRole(id)) : undefined;
    if (stranger !== undefined) throw roleNotForTokens(stranger);
    const beyond = firstBeyond(grants, (await decisionOf(scope, access)).grants);
    if (beyond) throw privilegeEscalation(beyond);
  }

  return {
    async create(caller, input) {
      const { scope, tenantSlug } = caller.principal;
      const nowMs = clock.nowMs();
      const provider = input.provider ?? providerOf(input.issuer);
      const binding: OidcBinding = {
        ...input,
        name: input.name ?? provider,
        provider,
        audiences: input.audiences ?? usualAudiences(tenantSlug),
        id: ids.uuid(),
        lastUsedAtMs: null,
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      requireNarrow(binding, tenantSlug);
      await requireHeld(caller.principal, binding.access);
      await issuerKeys.checkIssuer({ scope, tenantSlug }, binding.issuer);
      await db.transaction(async (tx) => {
        const { oidcBindingsMax: bindingsMax, oidcBindingsKeptMax: keptMax } = LIMITS;
        if ((await store.count(scope, tx)) >= bindingsMax) throw tooManyBindings(bindingsMax);
        if ((await store.countKept(scope, tx)) >= keptMax) throw tooManyDeletedBindings(keptMax);
        await store.insert(tx, scope, binding, anchorsOf(binding));
        await auditLogs.record(tx, actorOf(caller), bindingEntry('oidc_binding.create', binding));
        await recordAnswer(tx, caller, binding);
      });
      return binding;
    },

    async list(caller, options) {
      const { scope } = caller.principal;
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    get: (caller, id) => getBinding(caller.principal.scope, id),

    async update(caller, id, changes) {
      const { scope, tenantSlug } = caller.principal;
      const former = await getBinding(scope, id);
      if (changes.issuer !== undefined && changes.issuer !== former.issuer) {
        requireNarrow({ ...former, ...withProvider(changes) }, tenantSlug);
        await issuerKeys.checkIssuer({ scope, tenantSlug }, changes.issuer);
      }
      return db.transaction(async (tx) => {
        await tx.lock('oidc_bindings', former.id);
        const binding: OidcBinding = {
          ...(await getBinding(scope, former.id, tx)),
          ...withProvider(changes),
          updatedAtMs: clock.nowMs(),
        };
        requireNarrow(binding, tenantSlug);
        if (widens(changes)) await requireHeld(caller.principal, binding.access);
        await store.update(tx, scope, binding, anchorsOf(binding));
        await generations.bump(tx, credentialGeneration(scope.tenantId));
        await auditLogs.record(tx, actorOf(caller), bindingEntry('oidc_binding.update', binding, changes));
        await recordAnswer(tx, caller, binding);
        return binding;
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const binding = await getBinding(scope, id, tx);
        await store.delete(tx, scope, binding.id, clock.nowMs());
        await generations.bump(tx, credentialGeneration(scope.tenantId));
        await auditLogs.record(tx, actorOf(caller), bindingEntry('oidc_binding.delete', binding));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async decisionOf(scope, id) {
      const binding = await store.find(scope, id);
      return binding?.enabled ? decisionOf(scope, binding.access) : null;
    },

    removeEnded: (rowsMax) =>
      db.transaction(async (tx) => {
        const nowMs = clock.nowMs();
        const spent = await exchanges.removeSpent(tx, nowMs, rowsMax);
        const deleted = await exchanges.removeDeleted(tx, nowMs, rowsMax);
        return { rows: spent + deleted, hasMore: Math.max(spent, deleted) >= rowsMax };
      }),
  };
}

function usualAudiences(tenantSlug: string): string[] {
  return [`${TENANT_AUDIENCE_PREFIX}${tenantSlug}`, MANAGEMENT_AUDIENCE, GATEWAY_AUDIENCE];
}

/** Another issuer is another provider's, unless the call says whose. */
function withProvider(changes: Partial<BindingTerms>): Partial<BindingTerms> {
  if (changes.issuer === undefined || changes.provider !== undefined) return changes;
  return { ...changes, provider: providerOf(changes.issuer) };
}

/** Turning it off or naming it anew gives nobody anything. */
function widens({ name: _name, enabled, ...others }: Partial<BindingTerms>): boolean {
  return enabled === true || Object.keys(others).length > 0;
}

function requireNarrow(binding: BindingTerms, tenantSlug: string): void {
  const foreign = binding.audiences.find(
    (audience) =>
      audience.startsWith(TENANT_AUDIENCE_PREFIX) && audience !== `${TENANT_AUDIENCE_PREFIX}${tenantSlug}`,
  );
  if (foreign !== undefined)
    throw validationError('audiences', `${foreign} names another tenant, so no token with it is taken here`);
  const problems = narrowingProblems(binding);
  if (problems.size > 0)
    throw validationErrors(new Map([...problems].map(([field, problem]) => [field, [problem]])));
}
