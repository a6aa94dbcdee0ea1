import type { EnvelopeColumn } from '../kms/index.js';

export const AUTHORITY_KEY = {
  table: 'client_authorities',
  idColumn: 'id',
  column: 'key_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [AUTHORITY_KEY];
