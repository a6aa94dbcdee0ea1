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

/** Answered that the bytes are not of this key and context. */
export class ProviderRejected extends Error {
  override readonly name = 'ProviderRejected';
}
