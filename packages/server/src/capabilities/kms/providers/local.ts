import { assert } from '../../../kernel/assert.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { Secret } from '../../../kernel/secret.js';
import {
  DecryptionRefused,
  decrypt,
  deriveKey,
  encrypt,
  KEY_BYTES,
  lengthPrefixed,
} from '../../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import { type KmsProvider, ProviderRejected, type WrapContext } from './types.js';

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
      return decrypt(wrappingKey, aadOf(context), wrapped);
    } catch (error) {
      if (error instanceof DecryptionRefused)
        throw new ProviderRejected('the root key does not open this blob');
      throw error;
    }
  }

  async function wrap(dek: Buffer, context: WrapContext): Promise<Buffer> {
    return encrypt(random, wrappingKey, aadOf(context), dek);
  }

  return {
    describe: () => ({ wrapMethod: 'global', keyReference: 'root key' }),
    wrap,
    unwrap,
    async probe() {
      const context: WrapContext = { tenantId: 'probe' as TenantId, version: 0 };
      const sample = random.bytes(KEY_BYTES);
      const returned = await unwrap(await wrap(sample, context), context);
      if (!equalInConstantTime(returned, sample)) throw new ProviderRejected('the probe came back changed');
    },
  };
}

function aadOf({ tenantId, version }: WrapContext): Buffer {
  return lengthPrefixed(['knox.tenant-master-key', tenantId, String(version)]);
}
