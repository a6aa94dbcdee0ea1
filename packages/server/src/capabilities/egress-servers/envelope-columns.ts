import type { EnvelopeColumn } from '../kms/index.js';

export const PASSWORD = {
  table: 'egress_servers',
  idColumn: 'id',
  mode: 'row',
  column: 'password_envelope',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [PASSWORD];
