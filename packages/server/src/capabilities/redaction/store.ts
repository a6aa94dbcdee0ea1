import type { Selectable } from 'kysely';
import type { Scope } from '../../kernel/ids.js';
import type { ProxyMode } from '../../kernel/proxy-mode.js';
import { type ListOptions, offsetOf } from '../../platform/http/pagination.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { RuleMatch, RuleSpec } from './engine/rule.js';
import { type RedactionRuleRow, redactionTables } from './tables.js';

export interface RedactionRule extends RuleSpec {
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type RuleListOptions = ListOptions<'created_at' | 'name' | 'priority'>;

export type RedactionStore = ReturnType<typeof createRedactionStore>;

export function createRedactionStore(db: Database) {
  const view = db.view(redactionTables);

  return {
    async insert(tx: Transaction, scope: Scope, rule: RedactionRule): Promise<void> {
      const values = { id: rule.id, created_at: rule.createdAtMs, ...columnsOf(rule) };
      await view.scoped(scope, tx).insertInto('redaction_rules').values(values).execute();
    },

    async find(scope: Scope, id: string, tx?: Transaction): Promise<RedactionRule | undefined> {
      const query = view.scoped(scope, tx).selectFrom('redaction_rules').selectAll();
      const row = await query.where('id', '=', id.toLowerCase()).executeTakeFirst();
      return row && ruleOf(row);
    },

    async count(scope: Scope, tx?: Transaction): Promise<number> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('redaction_rules')
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return row.total;
    },

    async list(scope: Scope, options: RuleListOptions): Promise<RedactionRule[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('redaction_rules')
        .selectAll()
        .orderBy(options.sort, options.order)
        .orderBy('id', options.order)
        .limit(options.perPage)
        .offset(offsetOf(options.page, options.perPage))
        .execute();
      return rows.map(ruleOf);
    },

    /** All that are on, in their order of decision: by priority, then the oldest first. */
    async listEnabled(scope: Scope): Promise<RedactionRule[]> {
      const rows = await view
        .scoped(scope)
        .selectFrom('redaction_rules')
        .selectAll()
        .where('enabled', '=', 1)
        .orderBy('priority')
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(ruleOf);
    },

    /** Of rules that name the route. */
    async idsNaming(tx: Transaction, scope: Scope, routeId: string): Promise<string[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('redaction_rules')
        .select(['id', 'route_ids'])
        .where('route_ids', 'is not', null)
        .orderBy('id')
        .execute();
      return rows.filter(({ route_ids }) => listOf<string>(route_ids)?.includes(routeId)).map(({ id }) => id);
    },

    async update(tx: Transaction, scope: Scope, rule: RedactionRule): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('redaction_rules')
        .set(columnsOf(rule))
        .where('id', '=', rule.id)
        .execute();
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('redaction_rules').where('id', '=', id).execute();
    },
  };
}

function columnsOf(rule: RedactionRule) {
  return {
    name: rule.name,
    enabled: rule.enabled ? 1 : 0,
    target: rule.target,
    match_type: rule.match.type,
    match_value: rule.match.value,
    content_types: rule.contentTypes && JSON.stringify(rule.contentTypes),
    proxy_modes: rule.proxyModes && JSON.stringify(rule.proxyModes),
    route_ids: rule.routeIds && JSON.stringify(rule.routeIds),
    replacement: rule.replacement,
    action: rule.action,
    priority: rule.priority,
    updated_at: rule.updatedAtMs,
  };
}

function ruleOf(row: Selectable<RedactionRuleRow>): RedactionRule {
  return {
    id: row.id,
    name: row.name,
    enabled: row.enabled === 1,
    target: row.target,
    match: { type: row.match_type, value: row.match_value } as RuleMatch,
    contentTypes: listOf(row.content_types),
    proxyModes: listOf<ProxyMode>(row.proxy_modes),
    routeIds: listOf(row.route_ids),
    replacement: row.replacement,
    action: row.action,
    priority: row.priority,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function listOf<T extends string>(text: string | null): T[] | null {
  return text === null ? null : (JSON.parse(text) as T[]);
}
