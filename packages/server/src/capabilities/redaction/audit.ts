import type { AuditEntry } from '../audit-logs/index.js';
import type { RuleSpec } from './engine/rule.js';

export type RedactionAction = 'redaction_rule.create' | 'redaction_rule.update' | 'redaction_rule.delete';

export function ruleEntry(action: RedactionAction, rule: RuleSpec, changed?: readonly string[]): AuditEntry {
  const details = { name: rule.name, match_type: rule.match.type, ...(changed && { changed }) };
  return { action, resourceType: 'redaction_rule', resourceId: rule.id, details };
}
