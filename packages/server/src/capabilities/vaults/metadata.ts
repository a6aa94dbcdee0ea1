import { LIMITS } from '../../kernel/limits.js';
import { tooLarge } from './errors.js';
import type { Metadata } from './store.js';

/** Of a vault or a token, as the JSON text that is stored. */
export function requireMetadataFits(field: string, metadata: Metadata | null | undefined): void {
  const bytes = metadata ? Buffer.byteLength(JSON.stringify(metadata)) : 0;
  if (bytes > LIMITS.vaultMetadataBytesMax) throw tooLarge(field, LIMITS.vaultMetadataBytesMax);
}
