import type { EnvelopeColumn } from '../kms/index.js';

export const SECRET = {
  table: 'inbound_webhooks',
  column: 'secret_envelope',
  idColumn: 'id',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const CONTENT = {
  table: 'inbound_webhook_deliveries',
  column: 'content_envelope',
  idColumn: 'id',
  mode: 'row',
} as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [SECRET, CONTENT];
