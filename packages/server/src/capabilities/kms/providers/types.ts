import type { TenantId } from '../../../kernel/ids.js';
import type { WrapMethod } from '../tables.js';

/** Bound to the wrapped bytes: those of another tenant or version do not unwrap. */
export interface WrapContext {
  readonly tenantId: TenantId;
  readonly version: number;
}

/** The key that tenant master keys are wrapped with; it never leaves the provider. */
export interface KmsProvider {
  describe(): { readonly wrapMethod: WrapMethod; readonly keyReference: string };
  wrap(dek: Buffer, context: WrapContext): Promise<Buffer>;
  unwrap(wrapped: Buffer, context: WrapContext): Promise<Buffer>;
  /** Proves both directions; a key that may encrypt and not decrypt fails (kms-admin.md §2). */
  probe(): Promise<void>;
}

/**
 * Why a key did not do what it was asked (kms-admin.md §2). `bad_ciphertext`: the bytes are not of this key and
 * context. `unreachable` and `throttled` may pass by themselves; a provider throws the second for one attempt only.
 */
export type KmsFailureReason =
  | 'access_denied'
  | 'key_unusable'
  | 'unreachable'
  | 'throttled'
  | 'bad_ciphertext';

/** Whom the answer came from: who says who we are, or the key itself. */
export type KmsStage = 'identity' | 'key';

/** Code where the variable that is to hold the secret of an application does not: nobody was asked. */
export const SECRET_NOT_SET = 'secret_variable_not_set';

/** Its text names the provider's error code and nothing else of its answer, which may hold a token. */
export class KmsFailure extends Error {
  override readonly name = 'KmsFailure';
  constructor(
    readonly reason: KmsFailureReason,
    readonly stage: KmsStage,
    /** The provider's code for it, or ours: letters, digits, `_`, `.`, `-`. */
    readonly code: string,
  ) {
    super(`${reason} (${stage}: ${code})`);
  }
}

/** A text of somebody else's, as far as it is a code. */
export function codeText(code: unknown, fallback: string): string {
  return typeof code === 'string' && /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/.test(code) ? code : fallback;
}
