import type { Transaction } from '../../platform/storage/database.js';
import { DpopError } from './errors.js';

export interface ProofRequest {
  /** Values of the `DPoP` headers, as they came. */
  readonly proofs: readonly string[];
  readonly method: string;
  /** Public origin and path. */
  readonly url: string;
  readonly accessToken?: string;
  readonly isNonceRequired: boolean;
}

export interface VerifiedProof {
  readonly jkt: string;
  readonly jti: string;
  readonly iat: number;
  readonly replayKey: Buffer;
  readonly expiresAtMs: number;
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
}

/** Proof of possession of RFC 9449. */
export interface Dpop {
  verify(request: ProofRequest): Promise<VerifiedProof>;
  consumeIn(tx: Transaction, proof: VerifiedProof): Promise<void>;
  consume(proof: VerifiedProof): Promise<void>;
  readonly algorithms: readonly string[];
  nonce(): string;
  explain(request: ProofRequest): Promise<readonly CheckResult[]>;
}

/** Proofs are refused until they can be checked (docs/decisions/0003-refuse-what-is-not-there.md). */
export function createDpop(): Dpop {
  const refusal = () => new DpopError('invalid_dpop_proof', 'DPoP proofs are not taken yet');
  return {
    algorithms: [],
    verify: () => Promise.reject(refusal()),
    consumeIn: () => Promise.reject(refusal()),
    consume: () => Promise.reject(refusal()),
    nonce: () => '',
    explain: async () => [{ name: 'dpop', ok: false, reason: refusal().reason }],
  };
}
