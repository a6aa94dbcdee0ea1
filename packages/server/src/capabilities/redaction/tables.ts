import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { RuleAction, RuleMatch, RuleTarget } from './engine/rule.js';
import { redactionMigration } from './migrations/0008-redaction.js';
import { rulesByRouteMigration } from './migrations/0068-rules-by-route.js';

export interface RedactionRuleRow extends TenantModeColumns {
  id: string;
  name: string;
  enabled: number;
  target: RuleTarget;
  match_type: RuleMatch['type'];
  match_value: string;
  /** JSON text, a list; null = all. */
  content_types: string | null;
  /** JSON text, a list; null = all. */
  proxy_modes: string | null;
  /** JSON text, a list; null = all. */
  route_ids: string | null;
  replacement: string;
  action: RuleAction;
  priority: number;
  created_at: number;
  updated_at: number;
}

export interface RedactionTables {
  redaction_rules: RedactionRuleRow;
}

export const redactionTables: TableSet<RedactionTables> = { redaction_rules: { scope: 'tenant+mode' } };

export const migrations: readonly Migration[] = [redactionMigration, rulesByRouteMigration];
