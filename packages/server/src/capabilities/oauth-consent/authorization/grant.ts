import { equalInConstantTime, sha256 } from '../../../platform/crypto/hashing.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Accounts } from '../../accounts/index.js';
import type { Dpop } from '../../dpop/index.js';
import {
  actorOfSource,
  type Grant,
  invalidGrant,
  type OAuthTokens,
  proofRequired,
  required,
  type TokenCall,
} from '../../oauth/index.js';
import { requireActiveTenant } from '../consenting-user.js';
import { isOfCaller, mintForUser, userSource } from '../mint.js';
import type { Code, CodeStore } from './store.js';

export interface AuthorizationCodeDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly codes: CodeStore;
  readonly tokens: Pick<OAuthTokens, 'stateOf' | 'openFamilyIn' | 'mintIn' | 'revokeFamilyIn'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
}

/** RFC 7636 §4.1. */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** RFC 6749 §4.1.3 with PKCE of every client. A code that comes a second time ends what it gave (RFC 6749 §4.1.2). */
export function authorizationCodeGrant(deps: AuthorizationCodeDeps): Grant {
  const { db, codes, tokens, accounts } = deps;

  async function endWhatItGave(code: Code, call: TokenCall): Promise<never> {
    const actor = actorOfSource(code.scope, userSource(code), call);
    await db.transaction(async (tx) => {
      // Read anew: of two that redeem it at once, this one may have been asked before the other had a family.
      const used = await codes.findByHash(code.hash, tx);
      if (used?.familyId) await tokens.revokeFamilyIn(tx, code.scope, used.familyId, 'code_reuse', actor);
    });
    throw invalidGrant('The code was used before');
  }

  return {
    type: 'authorization_code',
    client: 'required_or_alias',
    async run(call) {
      const { params } = call;
      const text = required(params, 'code');
      const verifier = required(params, 'code_verifier');
      const code = await codes.findByHash(sha256(text));
      if (!code || !isOfCaller(code, call)) throw invalidGrant('The code is not one of this client');
      if (code.usedAtMs !== null) return endWhatItGave(code, call);
      if (code.expiresAtMs <= call.nowMs) throw invalidGrant('The code has expired');
      // Missing as well: it was part of the request that the code answers (RFC 6749 §4.1.3).
      if (params.get('redirect_uri') !== code.redirectUri)
        throw invalidGrant('redirect_uri is not the one that the code was sent to');
      if (!VERIFIER.test(verifier) || !isVerifierOf(code, verifier))
        throw invalidGrant('code_verifier does not belong to the code');
      requireKey(code, call);
      const tenantSlug = await requireActiveTenant(accounts, code.scope.tenantId);
      const minted = await mintForUser(
        deps,
        call,
        { ...code, grantType: 'authorization_code', tenantSlug },
        {
          use: (tx) => codes.use(tx, code.scope, code.hash, call.nowMs),
          given: (tx, familyId) => codes.setFamily(tx, code.scope, code.hash, familyId),
        },
      );
      return minted ?? endWhatItGave(code, call);
    },
  };
}

function isVerifierOf({ challenge }: Code, verifier: string): boolean {
  const found = sha256(verifier).toString('base64url');
  return equalInConstantTime(Buffer.from(found), Buffer.from(challenge));
}

/** RFC 9449 §10. */
function requireKey({ jkt }: Code, { proof }: TokenCall): void {
  if (jkt === null) return;
  if (proof === null) throw proofRequired();
  if (proof.jkt !== jkt) throw invalidGrant('The code is bound to another key');
}
