/** README.md §11 of the contract. `request.*` are of calls through the proxy. */
export const EVENT_TYPES = {
  'request.received': ['Request received', 'A call is about to be forwarded.'],
  'request.success': ['Request succeeded', 'A call was answered with 2xx.'],
  'request.redirect': ['Request redirected', 'A call was answered with 3xx.'],
  'request.client_error': ['Request refused', 'A call was answered with 4xx.'],
  'request.server_error': ['Request failed', 'A call was answered with 5xx.'],
  'request.timeout': ['Request timed out', 'The upstream of a call did not answer in time.'],
  'request.error': ['Request error', 'A call was answered with anything but 2xx.'],
  'request.completed': ['Request completed', 'A call is over, however it ended.'],
  'audit.event': ['Audit event', 'The audit log has another row.'],
  'webhook.test': ['Test', 'Somebody asked for a test of the webhook.'],
  'vault.token.expiring': ['Card expiring', 'A card in a vault ends in 60 days, or in 30.'],
  'alert.triggered': ['Alert triggered', 'An alert has gone off.'],
  'tenant_kms.sealed': ['Tenant sealed', 'The own key of the tenant does not open any more.'],
  'tenant_kms.unsealed': ['Tenant unsealed', 'The own key of the tenant opens again.'],
  'pki.certificate.expiring': [
    'Certificate expiring',
    'A root, or a certificate that was issued, ends in 30 days, in 7 or in 1.',
  ],
} as const satisfies Record<string, readonly [label: string, description: string]>;

export type EventType = keyof typeof EVENT_TYPES;

export const AUDIT_EVENT: EventType = 'audit.event';
export const TEST_EVENT: EventType = 'webhook.test';

/** Those that come by the outbox, as they were published. */
export const PUBLISHED: ReadonlySet<string> = new Set<EventType>([
  'vault.token.expiring',
  'alert.triggered',
  'tenant_kms.sealed',
  'tenant_kms.unsealed',
  'pki.certificate.expiring',
]);
