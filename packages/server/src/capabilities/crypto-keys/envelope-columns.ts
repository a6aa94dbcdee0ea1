import type { EnvelopeColumn } from '../kms/index.js';

export const KEY_ENVELOPE = {
  table: 'crypto_key_versions',
  idColumn: 'id',
  column: 'key_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [KEY_ENVELOPE];
