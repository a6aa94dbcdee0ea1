import { assert } from '../../../kernel/assert.js';
import type { Secret } from '../../../kernel/secret.js';
import {
  DecryptionRefused,
  decrypt,
  deriveKey,
  encrypt,
  KEY_BYTES,
} from '../../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import { bindingOf, probeBothWays } from './binding.js';
import { KmsFailure, type KmsProvider, type WrapContext } from './types.js';

export interface LocalProviderConfig {
  /** 32 bytes: `MASTER_KEY_B64` or the root key file. */
  readonly rootKey: Secret<Buffer>;
  readonly random: Random;
}

/** Wraps with the root key in process memory (`wrap_method` global, kms-admin.md §3.1). */
export function createLocalProvider({ rootKey, random }: LocalProviderConfig): KmsProvider {
  assert(rootKey.reveal().length === KEY_BYTES, 'root key length');
  // A key of its own, so that the root key can serve other uses without meeting this one.
  const wrappingKey = deriveKey(rootKey.reveal(), Buffer.alloc(0), 'knox.root.wrap');

  async function unwrap(wrapped: Buffer, context: WrapContext): Promise<Buffer> {
    try {
      return decrypt(wrappingKey, bindingOf(context), wrapped);
    } catch (error) {
      if (error instanceof DecryptionRefused)
        throw new KmsFailure('bad_ciphertext', 'key', 'not_of_this_root_key');
      throw error;
    }
  }

  async function wrap(dek: Buffer, context: WrapContext): Promise<Buffer> {
    return encrypt(random, wrappingKey, bindingOf(context), dek);
  }

  return {
    describe: () => ({ wrapMethod: 'global', keyReference: 'root key' }),
    wrap,
    unwrap,
    probe: () => probeBothWays({ wrap, unwrap }, random),
  };
}
