import type { AuditEntry } from '../audit-logs/index.js';
import type { Webhook } from './store.js';

type Action = 'webhook.create' | 'webhook.update' | 'webhook.delete' | 'webhook.test' | 'webhook.deliver';

/** Where it sends what is part of the row: nothing else tells later. Its query may hold a credential. */
export function webhookEntry(
  action: Action,
  webhook: Webhook,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'webhook',
    resourceId: webhook.id,
    details: {
      name: webhook.name,
      url: withoutQuery(webhook.url),
      ...((action === 'webhook.create' || action === 'webhook.update') && {
        event_types: webhook.eventTypes,
        auth_type: webhook.authType,
        hmac_format: webhook.hmacFormat,
        enabled: webhook.enabled,
      }),
      ...details,
    },
  };
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}
