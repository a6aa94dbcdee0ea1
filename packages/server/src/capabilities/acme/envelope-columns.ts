import type { EnvelopeColumn } from '../kms/index.js';

export const ACME_KEY = {
  table: 'acme_keys',
  idColumn: 'id',
  column: 'key_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [ACME_KEY];
