/** Not an `AppError`: the token endpoint and the API answer it in shapes of their own (contract auth.md §3). */
export class DpopError extends Error {
  override readonly name = 'DpopError';

  constructor(
    readonly code: 'invalid_dpop_proof' | 'use_dpop_nonce',
    readonly reason: string,
    /** To be sent as `DPoP-Nonce`. */
    readonly nonce: string | null = null,
  ) {
    super(reason);
  }
}
