import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { UserId } from '../../../kernel/ids.js';
import type { ChallengeFor } from '../passkeys/challenges.js';
import type { Passkeys } from '../passkeys/service.js';
import type { Factors } from './service.js';
import type { ProvenFactor } from './types.js';

/** What a user sends to prove itself. */
export type FactorProof =
  | { readonly method: 'totp' | 'recovery'; readonly code: string }
  | { readonly method: 'webauthn'; readonly response: AuthenticationResponseJSON };

/** Undefined where it is not right, or of a factor that the user has not enrolled. `of` is what a passkey was asked for. */
export type VerifyProof = (
  userId: UserId,
  proof: FactorProof,
  of: ChallengeFor,
) => Promise<ProvenFactor | undefined>;

export function createVerifyProof(
  factors: Pick<Factors, 'verifyTotp' | 'verifyRecoveryCode'>,
  passkeys: Pick<Passkeys, 'verify'>,
): VerifyProof {
  return (userId, proof, of) => {
    if (proof.method === 'webauthn') return passkeys.verify(userId, proof.response, of);
    const { method, code } = proof;
    return method === 'totp' ? factors.verifyTotp(userId, code) : factors.verifyRecoveryCode(userId, code);
  };
}
