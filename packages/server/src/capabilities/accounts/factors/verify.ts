import type { UserId } from '../../../kernel/ids.js';
import type { Factors } from './service.js';
import type { ProvenFactor } from './types.js';

/** What a user sends to prove itself. */
export interface FactorProof {
  readonly method: 'totp' | 'recovery';
  readonly code: string;
}

/** What it is for: a challenge of the one is no good for another. */
export type ProofPurpose = 'sign_in' | 'step_up';

/** Undefined where it is not right, or of a factor that the user has not enrolled. */
export type VerifyProof = (
  userId: UserId,
  proof: FactorProof,
  purpose: ProofPurpose,
) => Promise<ProvenFactor | undefined>;

export function createVerifyProof(factors: Pick<Factors, 'verifyTotp' | 'verifyRecoveryCode'>): VerifyProof {
  return (userId, { method, code }) =>
    method === 'totp' ? factors.verifyTotp(userId, code) : factors.verifyRecoveryCode(userId, code);
}
