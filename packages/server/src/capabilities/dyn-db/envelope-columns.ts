import type { EnvelopeColumn } from '../kms/index.js';

const CONNECTION = { table: 'dyn_db_connections', idColumn: 'id', mode: 'row' } as const;

export const PASSWORD_ENVELOPE = {
  ...CONNECTION,
  column: 'admin_password_envelope',
} as const satisfies EnvelopeColumn;

export const NEXT_PASSWORD_ENVELOPE = {
  ...CONNECTION,
  column: 'next_password_envelope',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [PASSWORD_ENVELOPE, NEXT_PASSWORD_ENVELOPE];
