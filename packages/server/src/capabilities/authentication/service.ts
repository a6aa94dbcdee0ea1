import { type Mode, modeOf } from '../../kernel/ids.js';
import type { Principal } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Authenticator, CalledTarget } from '../../platform/http/caller.js';
import type { ResolvedHost } from '../../platform/http/hosts.js';
import type { Origins } from '../../platform/http/origins.js';
import type { Accounts } from '../accounts/index.js';
import type { ApiKeys } from '../api-keys/index.js';
import { type Dpop, DpopError } from '../dpop/index.js';
import { type Credential, readCredential } from './credentials.js';
import {
  foreignCredential,
  invalidBoundToken,
  proofRefused,
  subscriptionInactive,
  tenantNotFound,
  tokenNotBound,
  wrongKeyType,
} from './errors.js';
import {
  createFindCredential,
  type KnownCredential,
  type KnownCredentialsDeps,
} from './known-credentials.js';

export interface AuthenticationDeps extends KnownCredentialsDeps {
  readonly apiKeys: Pick<ApiKeys, 'findActiveByHash' | 'recordUse'>;
  readonly accounts: Pick<Accounts, 'tenantById' | 'tenantBySlug'>;
  readonly dpop: Pick<Dpop, 'verify' | 'consume' | 'algorithms'>;
  readonly origins: Origins;
}

/** Who is calling: a key or an access token becomes a principal. The order of the checks is that of auth.md §5. */
export type Authentication = Authenticator;

export function createAuthentication(deps: AuthenticationDeps): Authentication {
  const { apiKeys, accounts, dpop, origins } = deps;
  const findCredential = createFindCredential(deps);

  async function refuse(error: unknown, host: ResolvedHost): Promise<never> {
    // Where a tenant host is called without a credential of that tenant, 404 comes before 401 (auth.md §5).
    if (host.tenantSlug !== null && !(await accounts.tenantBySlug(host.tenantSlug))) throw tenantNotFound();
    throw error;
  }

  function ofHost(found: KnownCredential, host: ResolvedHost): KnownCredential {
    const { principal } = found;
    if (host.tenantSlug !== null && host.tenantSlug !== principal.tenantSlug)
      throw foreignCredential(principal);
    if (!isModeOf(host.mode, principal)) throw wrongKeyType(principal);
    return found;
  }

  /** Of keys nothing is waited for; of a token bound to a key the proof is, and it is used up. */
  function admit(
    found: KnownCredential,
    credential: Credential,
    called: Called,
    servesInactive: boolean,
  ): Promisable<Principal> {
    const { principal, binding } = found;
    if (binding === null) return active(found, servesInactive);
    const { jkt, isNonceRequired } = binding;
    if (jkt === null) {
      if (credential.isProven) throw tokenNotBound(principal);
      return active(found, servesInactive);
    }
    if (!credential.isProven) throw invalidBoundToken(principal, dpop.algorithms);
    return prove(credential, jkt, isNonceRequired, called, principal).then(() =>
      active(found, servesInactive),
    );
  }

  async function prove(
    { text, proofs }: Credential,
    jkt: string,
    isNonceRequired: boolean,
    { host, target }: Called,
    principal: Principal,
  ): Promise<void> {
    const url = origins.of(host) + target.path;
    try {
      const { method } = target;
      const proof = await dpop.verify({ proofs, method, url, accessToken: text, isNonceRequired });
      if (proof.jkt !== jkt) throw invalidBoundToken(principal, dpop.algorithms);
      await dpop.consume(proof);
    } catch (error) {
      throw error instanceof DpopError ? proofRefused(error, principal, dpop.algorithms) : error;
    }
  }

  function active({ principal, isActive }: KnownCredential, servesInactive: boolean): Principal {
    if (!isActive && !servesInactive) throw subscriptionInactive(principal);
    if (principal.kind === 'api_key') apiKeys.recordUse(principal.scope, principal.apiKeyId);
    return principal;
  }

  return {
    authenticate(rawHeaders, host, servesInactive = false, target = NO_TARGET) {
      const called: Called = { host, target };
      try {
        const credential = readCredential(rawHeaders);
        const found = findCredential(credential);
        if (!isPending(found)) return admit(ofHost(found, host), credential, called, servesInactive);
        return found
          .then((known) => ofHost(known, host))
          .catch((error) => refuse(error, host))
          .then((known) => admit(known, credential, called, servesInactive));
      } catch (error) {
        return refuse(error, host);
      }
    },
  };
}

interface Called {
  readonly host: ResolvedHost;
  readonly target: CalledTarget;
}

/** Nothing that a proof could have been made for. */
const NO_TARGET: CalledTarget = { method: '', path: '' };

function isModeOf(mode: Mode | null, principal: Principal): boolean {
  return mode === null || mode === modeOf(principal.scope);
}
