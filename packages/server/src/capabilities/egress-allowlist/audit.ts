import type { Scope } from '../../kernel/ids.js';
import type { AuditEntry } from '../audit-logs/index.js';

/** A full list is some 250 KB: a row names the first of what changed and counts the rest. */
const NAMED_MAX = 20;

export function allowlistEntry(
  scope: Scope,
  former: readonly string[],
  hosts: readonly string[],
): AuditEntry {
  const before = new Set(former);
  const after = new Set(hosts);
  const added = hosts.filter((host) => !before.has(host));
  const removed = former.filter((host) => !after.has(host));
  return {
    action: 'egress.update',
    resourceType: 'tenant',
    resourceId: scope.tenantId,
    details: {
      hosts_count: hosts.length,
      added_count: added.length,
      added: added.slice(0, NAMED_MAX),
      removed_count: removed.length,
      removed: removed.slice(0, NAMED_MAX),
    },
  };
}
