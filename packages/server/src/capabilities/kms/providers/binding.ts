import type { TenantId } from '../../../kernel/ids.js';
import { KEY_BYTES, lengthPrefixed } from '../../../platform/crypto/authenticated-cipher.js';
import { equalInConstantTime } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import { KmsFailure, type KmsProvider, type WrapContext } from './types.js';

/** What the wrapped bytes are bound to, where that is bytes (kms-admin.md §2). */
export function bindingOf({ tenantId, version }: WrapContext): Buffer {
  return lengthPrefixed(['knox.tenant-master-key', tenantId, String(version)]);
}

/** No tenant's: an id is never this text, a version never 0. */
const PROBE_CONTEXT: WrapContext = { tenantId: 'probe' as TenantId, version: 0 };

export async function probeBothWays(
  { wrap, unwrap }: Pick<KmsProvider, 'wrap' | 'unwrap'>,
  random: Random,
): Promise<void> {
  const sample = random.bytes(KEY_BYTES);
  const returned = await unwrap(await wrap(sample, PROBE_CONTEXT), PROBE_CONTEXT);
  if (!equalInConstantTime(returned, sample)) throw new KmsFailure('bad_ciphertext', 'key', 'probe_changed');
}
