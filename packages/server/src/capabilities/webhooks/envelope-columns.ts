import type { EnvelopeColumn } from '../kms/index.js';

const WEBHOOK = { table: 'webhooks', idColumn: 'id', mode: 'row' } as const;

export const AUTH = { ...WEBHOOK, column: 'auth_envelope' } as const satisfies EnvelopeColumn;
export const HEADERS = { ...WEBHOOK, column: 'headers_envelope' } as const satisfies EnvelopeColumn;
export const SECRET = { ...WEBHOOK, column: 'secret_envelope' } as const satisfies EnvelopeColumn;

export const envelopeColumns: readonly EnvelopeColumn[] = [AUTH, HEADERS, SECRET];
