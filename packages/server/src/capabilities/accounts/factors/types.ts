import type { Transaction } from '../../../platform/storage/database.js';

/** With what a user proves itself besides the password (auth.md §7). */
export const FACTOR_METHODS = ['totp', 'webauthn', 'recovery'] as const;
export type FactorMethod = (typeof FACTOR_METHODS)[number];

/** A proof that is right. Until `use` nothing of it is used up. */
export interface ProvenFactor {
  /** RFC 8176. */
  readonly amr: readonly string[];
  /** In the transaction of what it proves; false where another call has used it. */
  use(tx: Transaction): Promise<boolean>;
}
