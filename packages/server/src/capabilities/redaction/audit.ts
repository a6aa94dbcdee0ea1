import type { AuditEntry } from '../audit-logs/index.js';
import type { RuleSpec } from './engine/rule.js';

export type RedactionAction = 'redaction_rule.create' | 'redaction_rule.update' | 'redaction_rule.delete';

type RuleChanges = Partial<Omit<RuleSpec, 'id'>>;

/** Readers of the audit log know the fields by their names on the wire. */
const WIRE_NAMES: Record<keyof RuleChanges, string> = {
  name: 'name',
  enabled: 'enabled',
  target: 'target',
  match: 'match',
  contentTypes: 'content_types',
  routeIds: 'route_ids',
  proxyModes: 'proxy_modes',
  replacement: 'replacement',
  action: 'action',
  priority: 'priority',
};

export function ruleEntry(action: RedactionAction, rule: RuleSpec, changes?: RuleChanges): AuditEntry {
  const changed = changes && (Object.keys(changes) as (keyof RuleChanges)[]).map((name) => WIRE_NAMES[name]);
  const details = { name: rule.name, match_type: rule.match.type, ...(changed && { changed }) };
  return { action, resourceType: 'redaction_rule', resourceId: rule.id, details };
}
