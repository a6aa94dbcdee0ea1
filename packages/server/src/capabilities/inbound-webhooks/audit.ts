import type { AuditEntry } from '../audit-logs/index.js';
import type { InboundWebhook } from './store.js';

/** The contract's names of webhooks, told apart by the type of their resource. */
export function inboundWebhookEntry(
  action: 'webhook.create' | 'webhook.update' | 'webhook.delete' | 'webhook.deliver',
  webhook: InboundWebhook,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'inbound_webhook',
    resourceId: webhook.id,
    details: {
      name: webhook.name,
      target_url: webhook.targetUrl?.replace(/[?#].*$/s, '') ?? null,
      route_id: webhook.routeId,
      format: webhook.format,
      enabled: webhook.enabled,
      ...details,
    },
  };
}
