import type { EnvelopeColumn } from '../kms/index.js';

export const VALUE_ENVELOPE = {
  table: 'secret_values',
  idColumn: 'id',
  column: 'value_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [VALUE_ENVELOPE];
