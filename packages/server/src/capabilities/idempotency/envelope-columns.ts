import type { EnvelopeColumn } from '../kms/index.js';
import { RECORDS } from './tables.js';

export const KEY_ENVELOPE = {
  table: RECORDS,
  idColumn: 'id',
  column: 'key_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [KEY_ENVELOPE];
