import type { Scope } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { StoredEgressServer } from './store.js';

type Action = 'egress_server.create' | 'egress_server.update' | 'egress_server.delete';

export function serverEntry(
  action: Action,
  server: StoredEgressServer,
  details: Readonly<Record<string, unknown>> = {},
): AuditEntry {
  return {
    action,
    resourceType: 'egress_server',
    resourceId: server.id,
    details: {
      name: server.name,
      kind: server.kind,
      address: server.address,
      port: server.port,
      failover_id: server.failoverId,
      enabled: server.enabled,
      ...details,
    },
  };
}

export function defaultEntry({ tenantId }: Scope, former: string | null, id: string | null): AuditEntry {
  return {
    action: 'egress.update',
    resourceType: 'tenant',
    resourceId: tenantId,
    details: { egress_server_id: id, former_egress_server_id: former },
  };
}
