import type { AuditEntry } from '../audit-logs/index.js';
import type { InboundWebhook } from './store.js';

/** The contract's names of webhooks, told apart by the type of their resource. */
export function inboundWebhookEntry(
  action: 'webhook.create' | 'webhook.update' | 'webhook.delete',
  webhook: InboundWebhook,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'inbound_webhook',
    resourceId: webhook.id,
    details: {
      name: webhook.name,
      target_url: webhook.targetUrl.replace(/[?#].*$/s, ''),
      format: webhook.format,
      enabled: webhook.enabled,
      ...details,
    },
  };
}
