import type { EnvelopeColumn } from '../kms/index.js';

export const AUTHORITY_KEY = {
  table: 'authorities',
  idColumn: 'id',
  column: 'key_envelope',
  mode: 'row',
  boundAs: 'client_authorities',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [AUTHORITY_KEY];
