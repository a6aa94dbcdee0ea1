import type { EnvelopeColumn } from '../kms/index.js';

export const CREDENTIALS = {
  table: 'alerts',
  column: 'credentials_envelope',
  idColumn: 'id',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [CREDENTIALS];
