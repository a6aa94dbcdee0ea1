import type { EnvelopeColumn } from '../kms/index.js';

export const VALUE_ENVELOPE = {
  table: 'secret_values',
  idColumn: 'id',
  column: 'value_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const OAUTH2_CREDENTIALS_ENVELOPE = {
  table: 'oauth2_secrets',
  idColumn: 'id',
  column: 'credentials_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const OAUTH2_TOKENS_ENVELOPE = {
  table: 'oauth2_connections',
  idColumn: 'id',
  column: 'tokens_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const OAUTH2_VERIFIER_ENVELOPE = {
  table: 'oauth2_visits',
  idColumn: 'id',
  column: 'verifier_envelope',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [
  VALUE_ENVELOPE,
  OAUTH2_CREDENTIALS_ENVELOPE,
  OAUTH2_TOKENS_ENVELOPE,
  OAUTH2_VERIFIER_ENVELOPE,
];
