import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Database } from '../../platform/storage/database.js';
import type { Rule } from './decision.js';
import type { SubjectKind } from './seeded-roles.js';
import { rolesTables } from './tables.js';

export interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly appliesTo: readonly SubjectKind[];
  readonly isSeeded: boolean;
}

export type RoleStore = ReturnType<typeof createRoleStore>;

/** A tenant's own roles: they are listed and still hold, and none can be made (auth.md §1.3). */
export function createRoleStore(db: Database) {
  const view = db.view(rolesTables);

  return {
    async list(tenantId: TenantId): Promise<Role[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('roles')
        .select(['id', 'name', 'description', 'applies_to'])
        .orderBy('name')
        .orderBy('id')
        .limit(LIMITS.customRolesMax)
        .execute();
      return rows.map(({ id, name, description, applies_to }) => ({
        id,
        name,
        description,
        appliesTo: JSON.parse(applies_to) as SubjectKind[],
        isSeeded: false,
      }));
    },

    /** Of those among the ids that apply to keys. */
    async rulesOfKeyRoles(tenantId: TenantId, ids: readonly string[]): Promise<Rule[]> {
      const rows = await view
        .scoped({ tenantId })
        .selectFrom('roles')
        .select(['applies_to', 'rules'])
        .where('id', 'in', ids)
        .execute();
      return rows
        .filter(({ applies_to }) => (JSON.parse(applies_to) as SubjectKind[]).includes('api_key'))
        .flatMap(({ rules }) => (JSON.parse(rules) as StoredRule[]).map(ruleOf));
    },
  };
}

interface StoredRule {
  readonly resource_type: string;
  readonly actions: readonly string[];
  readonly effect: string;
  readonly resource?: string;
}

function ruleOf({ resource_type, actions, effect, resource }: StoredRule): Rule {
  return {
    resourceType: resource_type,
    actions,
    // Whatever is not plainly an allowance must not become one.
    effect: effect === 'allow' ? 'allow' : 'deny',
    resource: resource ?? null,
  };
}
