import type { Clock } from '../../../kernel/clock.js';
import type { OidcBindingId, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { createSignatureVerifier, isSignatureForm } from '../../../platform/crypto/jws.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import { type Accounts, isSubscriptionActive } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { Dpop } from '../../dpop/index.js';
import {
  actorOfSource,
  grantedScopes,
  invalidGrant,
  OAuthError,
  type OAuthTokens,
  type TokenAnswer,
  type TokenCall,
  tenantInactive,
} from '../../oauth/index.js';
import { IssuerUnavailable } from '../issuer-keys/errors.js';
import type { IssuerKeys } from '../issuer-keys/issuer-keys.js';
import { bindingMatches } from '../matching/matching.js';
import { GATEWAY_AUDIENCE, type OidcBindings } from '../service.js';
import { createOidcBindingStore, type OidcBinding } from '../store.js';
import { type Assertion, AssertionRefused, readAssertion, requireTimely } from './assertion.js';
import { deniedEntry, exchangeEntry } from './audit.js';
import { createDenialBudget } from './denials.js';
import { createExchangeStore } from './store.js';
import { type Admission, createTenantOf, NotAdmitted, subjectHash } from './tenant-of.js';

export interface AssertionExchangeDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly accounts: Pick<Accounts, 'tenantBySlug' | 'tenantById'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly bindings: Pick<OidcBindings, 'decisionOf'>;
  readonly issuerKeys: Pick<IssuerKeys, 'keyOf'>;
  readonly tokens: Pick<OAuthTokens, 'mintIn'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
}

const VERIFYING_KEYS_MAX = 1_000;
const LAST_USED_MS = 60_000;

/** An identity token of a workload's platform for a token of the binding that lets it in (auth.md §4). */
export function createAssertionExchange(deps: AssertionExchangeDeps) {
  const { db, clock, auditLogs, bindings, issuerKeys, tokens, dpop } = deps;
  const store = createOidcBindingStore(db);
  const exchanges = createExchangeStore(db);
  const tenantOf = createTenantOf({ bindings: store, exchanges, accounts: deps.accounts });
  const verifier = createSignatureVerifier({ keysMax: VERIFYING_KEYS_MAX });
  const denials = createDenialBudget(clock);

  async function requireSignature({ tenant, scope }: Admission, assertion: Assertion): Promise<void> {
    const { issuer, kid, alg, signed, signature } = assertion;
    const key = await issuerKeys.keyOf({ scope, tenantSlug: tenant.slug }, issuer, { kid, alg });
    if (!key)
      throw new AssertionRefused(
        'key',
        'The assertion is signed with a key that its issuer does not publish',
      );
    const isGood = isSignatureForm(alg, key.jwk, signature) && verifier.verify(key, alg, signed, signature);
    if (!isGood) throw new AssertionRefused('signature', 'The signature of the assertion is not good');
  }

  async function permissionsFor({ scope, binding }: Admission, call: TokenCall): Promise<readonly string[]> {
    const decision = await bindings.decisionOf(scope, binding.id);
    if (!decision) throw changedMeanwhile();
    const held = new Set(decision.grants.map(({ permission }) => permission));
    return grantedScopes(call.params.get('scope'), held);
  }

  /** Spent, minted and audited together; what another process has changed since it was read counts. */
  async function issueIn(
    tx: Transaction,
    admission: Admission,
    assertion: Assertion,
    permissions: readonly string[],
    call: TokenCall,
  ): Promise<TokenAnswer> {
    const { scope, tenant } = admission;
    const binding = await store.find(scope, admission.binding.id, tx);
    if (!binding?.enabled || !bindingMatches(binding, assertion)) throw changedMeanwhile();
    const spentUntilMs = assertion.expiresAtMs + LIMITS.oidcAssertionSkewMs;
    if (!(await exchanges.spend(tx, assertion.hash, spentUntilMs)))
      throw new AssertionRefused('replay', 'The assertion was presented before');
    if (admission.isNamedByAudience)
      await exchanges.claimSubject(tx, subjectHash(assertion, scope.sandbox), tenant.id, call.nowMs);
    if (call.proof) await dpop.consumeIn(tx, call.proof);
    const source = { kind: 'binding', bindingId: binding.id as OidcBindingId } as const;
    const actor = actorOfSource(scope, source, call);
    const request = {
      scope,
      source,
      grantType: 'token_exchange',
      permissions,
      jkt: call.proof?.jkt ?? null,
      ttlSeconds: binding.ttlSeconds,
      familyId: null,
    };
    const minted = await tokens.mintIn(tx, request, actor);
    if (call.nowMs - (binding.lastUsedAtMs ?? 0) >= LAST_USED_MS)
      await store.setLastUsed(tx, scope, binding.id, call.nowMs);
    await auditLogs.record(tx, actor, exchangeEntry(binding, assertion, minted.id));
    return { ...minted, scope: permissions.join(' '), tenantSlug: tenant.slug };
  }

  /** The tenant sees why its workload was refused; how many rows strangers can make is bounded. */
  async function audit(
    call: TokenCall,
    scope: Scope,
    assertion: Assertion,
    error: unknown,
    binding: OidcBinding | null,
    isSigned: boolean,
  ): Promise<void> {
    const denial = denialOf(error);
    if (!denial || !denials.take(scope.tenantId)) return;
    const { requestId, ip } = call;
    const actor = { scope, apiKeyId: null, userId: null, requestId, ip };
    const entry = deniedEntry(binding, assertion, { ...denial, isSigned });
    await db.transaction((tx) => auditLogs.record(tx, actor, entry));
  }

  async function exchangeAdmitted(
    admission: Admission,
    assertion: Assertion,
    call: TokenCall,
  ): Promise<TokenAnswer> {
    let isSigned = false;
    try {
      requireAudience(admission.binding, assertion);
      requireTimely(assertion, call.nowMs);
      await requireSignature(admission, assertion);
      isSigned = true;
      if (!isSubscriptionActive(admission.tenant.subscriptionStatus)) throw tenantInactive();
      const permissions = await permissionsFor(admission, call);
      return await db.transaction((tx) => issueIn(tx, admission, assertion, permissions, call));
    } catch (error) {
      await audit(call, admission.scope, assertion, error, admission.binding, isSigned);
      throw error;
    }
  }

  /** Size, form, algorithm and issuer; the tenant and its binding; audience, times, key, signature (auth.md §4). */
  async function exchange(call: TokenCall, subjectToken: string): Promise<TokenAnswer> {
    const assertion = readAssertion(subjectToken);
    const hints = { host: call.host, tenant: call.params.get('tenant') };
    let admission: Admission;
    try {
      admission = await tenantOf.admit(assertion, hints, call.nowMs);
    } catch (error) {
      if (error instanceof NotAdmitted) {
        const scope = { tenantId: error.tenantId, sandbox: call.host.mode === 'test' };
        await audit(call, scope, assertion, error, null, false);
      }
      throw error;
    }
    return exchangeAdmitted(admission, assertion, call);
  }

  return async (call: TokenCall, subjectToken: string): Promise<TokenAnswer> => {
    try {
      return await exchange(call, subjectToken);
    } catch (error) {
      throw asOAuthError(error);
    }
  };
}

/** Bindings name both products by default; what was signed for the gateway alone gives no management token (auth.md §2.8). */
function requireAudience({ audiences }: OidcBinding, assertion: Assertion): void {
  const isMeant = (audience: string) => audience !== GATEWAY_AUDIENCE && audiences.includes(audience);
  if (!assertion.audiences.some(isMeant))
    throw new AssertionRefused('aud', 'The assertion is for none of the audiences of the binding');
}

function changedMeanwhile(): AssertionRefused {
  return new AssertionRefused(
    'binding',
    'The OIDC binding has changed; ask the issuer for another assertion',
  );
}

/** Null: no refusal, but something that does not work. */
function denialOf(error: unknown): { readonly check: string; readonly reason: string } | null {
  if (error instanceof AssertionRefused) return { check: error.check, reason: error.message };
  if (error instanceof IssuerUnavailable) return { check: 'key', reason: error.reason };
  return error instanceof OAuthError ? { check: error.code, reason: error.description } : null;
}

function asOAuthError(error: unknown): unknown {
  if (error instanceof AssertionRefused) return invalidGrant(described(error.message));
  if (error instanceof IssuerUnavailable)
    return new OAuthError('temporarily_unavailable', 'The keys of the issuer cannot be read at present', {
      headers: { 'retry-after': String(error.retryAfterSeconds) },
    });
  return error;
}

/** RFC 6749 §5.2: a description has no other characters, and issuers are texts of strangers. */
function described(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?');
}
