import type { AuditEntry } from '../audit-logs/index.js';
import type { Alert } from './store.js';
import { conditionWire } from './wire.js';

/** Of a channel its type and where it leads, as its row shows it. */
export function alertEntry(
  action: 'alert.create' | 'alert.update' | 'alert.delete' | 'alert.enable' | 'alert.disable',
  alert: Alert,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'alert',
    resourceId: alert.id,
    details: {
      name: alert.name,
      ...((action === 'alert.create' || action === 'alert.update') && {
        type: alert.type,
        severity: alert.severity,
        condition: conditionWire(alert.condition),
        channels: alert.channels.map(({ type, target }) => ({ type, target })),
        enabled: alert.enabled,
      }),
      ...details,
    },
  };
}

/** What was sent: a switch alone has a name of its own. */
export function alertUpdateAction(after: Alert, sent: readonly string[]) {
  if (sent.length !== 1 || sent[0] !== 'enabled') return 'alert.update';
  return after.enabled ? 'alert.enable' : 'alert.disable';
}
