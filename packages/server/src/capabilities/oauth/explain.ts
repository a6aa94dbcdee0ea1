import { type Clock, isoTime } from '../../kernel/clock.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import { type Dpop, DpopError, type ProofRequest } from '../dpop/index.js';
import type { OAuthTokens } from './tokens/service.js';
import type { StoredToken } from './tokens/store.js';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string | undefined;
}

export interface Explanation {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export interface ExplainRequest {
  readonly token: string | null;
  readonly proof: string | null;
  readonly method: string;
  readonly url: string;
}

export interface ExplainDeps {
  readonly tokens: Pick<OAuthTokens, 'findStored' | 'stateOf'>;
  readonly dpop: Pick<Dpop, 'explain' | 'verify'>;
  readonly clock: Clock;
}

export type Explain = (scope: Scope, request: ExplainRequest) => Promise<Explanation>;

const TOKEN_FORM = /^kc_(live|test)_[\w-]{43}$/;

/**
 * What a call with that token and proof would be checked for, one by one (auth.md §2.10). Uses nothing up, and knows
 * nothing of other tenants and modes.
 */
export function createExplain({ tokens, dpop, clock }: ExplainDeps): Explain {
  async function checkToken(scope: Scope, text: string, checks: Check[]): Promise<StoredToken | undefined> {
    const form = TOKEN_FORM.exec(text);
    add(checks, 'form', form !== null, 'an access token is kc_live_ or kc_test_ and 43 characters');
    if (form === null) return undefined;
    const mode = modeOf(scope);
    add(checks, 'mode', form[1] === mode, `this credential is of ${mode} mode and the token is not`);
    const found = await tokens.findStored(text);
    const token = found && isIn(found, scope) ? found : undefined;
    add(checks, 'known', token !== undefined, 'there is no such token in this tenant and mode');
    if (!token) return undefined;
    const { expiresAtMs, revokedAtMs, source } = token;
    add(checks, 'not_expired', expiresAtMs > clock.nowMs(), `it ended at ${isoTime(expiresAtMs)}`);
    add(checks, 'not_revoked', revokedAtMs === null, `it was revoked at ${isoTime(revokedAtMs ?? 0)}`);
    const state = await tokens.stateOf(scope, source);
    add(
      checks,
      'source',
      state !== undefined,
      `its ${source.kind} is revoked, switched off or has a new secret`,
    );
    const isHeld = state !== undefined && [...token.permissions].some((permission) => state.may(permission));
    add(checks, 'scope', isHeld, 'its source holds nothing of its scope');
    return token;
  }

  async function checkProof(
    request: ProofRequest,
    jkt: string | null | undefined,
    checks: Check[],
  ): Promise<void> {
    const results = await dpop.explain(request);
    checks.push(...results.map((result) => ({ ...result, name: `proof_${result.name}` })));
    if (jkt === undefined || !results.every(({ ok }) => ok)) return;
    add(checks, 'bound', jkt !== null, 'it is bound to no key, and is sent as Bearer');
    if (jkt === null) return;
    const isOfKey = (await keyOf(request)) === jkt;
    add(checks, 'proof_key', isOfKey, 'the proof is of another key than the one that the token is bound to');
  }

  async function keyOf(request: ProofRequest): Promise<string | null> {
    try {
      return (await dpop.verify(request)).jkt;
    } catch (error) {
      // Used, or too old, since it was looked at.
      if (error instanceof DpopError) return null;
      throw error;
    }
  }

  return async (scope, { token: text, proof, method, url }) => {
    const checks: Check[] = [];
    const token = text === null ? undefined : await checkToken(scope, text, checks);
    if (proof !== null) {
      const request = { proofs: [proof], method, url, isNonceRequired: false };
      await checkProof(text === null ? request : { ...request, accessToken: text }, token?.jkt, checks);
    } else if (token) {
      add(
        checks,
        'proof',
        token.jkt === null,
        'it is bound to a key: the call needs a DPoP proof of that key',
      );
    }
    return { ok: checks.every(({ ok }) => ok), checks };
  };
}

function add(checks: Check[], name: string, ok: boolean, reason: string): void {
  checks.push(ok ? { name, ok } : { name, ok, reason });
}

function isIn({ scope }: StoredToken, { tenantId, sandbox }: Scope): boolean {
  return scope.tenantId === tenantId && scope.sandbox === sandbox;
}
