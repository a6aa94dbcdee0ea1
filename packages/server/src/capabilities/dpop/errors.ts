type DpopErrorCode = 'invalid_dpop_proof' | 'use_dpop_nonce';

/** Not an `AppError`: the token endpoint and the API answer it in shapes of their own (contract auth.md §3). */
export class DpopError extends Error {
  override readonly name = 'DpopError';
  /** Names the check and its rule, for whoever made the proof; visible ASCII without quotes. */
  readonly reason: string;

  constructor(
    readonly code: DpopErrorCode,
    /** The name of the check that failed. */
    readonly check: string,
    rule: string,
    /** To be sent as `DPoP-Nonce`. */
    readonly nonce: string | null = null,
  ) {
    super(`DPoP proof, ${check}: ${rule}`);
    this.reason = this.message;
  }
}
