import type { TenantId } from '../../kernel/ids.js';
import type { Grant, UserRole } from '../../kernel/principal.js';
import { offsetOf, type PageOptions } from '../../platform/http/pagination.js';
import type { Database } from '../../platform/storage/database.js';
import { type Decision, decide, type Rule } from './decision.js';
import { KEY_PERMISSIONS, USER_PERMISSIONS } from './names.js';
import {
  SEEDED_ROLES,
  SEEDED_USER_ROLES,
  type SeededRole,
  type SubjectKind,
  seededKeyRole,
} from './seeded-roles.js';
import { createRoleStore, type Role } from './store.js';

export type { Role } from './store.js';

/** What a key was given when it was made; it is never edited. */
export type KeyAccess =
  | { readonly full: true }
  | { readonly full: false; readonly roleIds: readonly string[]; readonly grants: readonly Grant[] };

export interface RoleListOptions extends PageOptions {
  readonly subjectKind: SubjectKind | null;
}

export interface Permissions {
  /** The seeded roles and those that the tenant has of its own, by name. */
  listRoles(tenantId: TenantId, options: RoleListOptions): Promise<{ rows: Role[]; total: number }>;
  /** By the present rules of the key's roles. */
  decisionOfKey(tenantId: TenantId, access: KeyAccess): Promise<Decision>;
}

/** By name, because no wildcard gives `agent:create` (contract README §2.2). */
const FULL_ACCESS = decide(
  [...KEY_PERMISSIONS].map((permission) => ruleOf({ permission, resource: null })),
  KEY_PERMISSIONS,
);

const USER_DECISIONS: Readonly<Record<UserRole, Decision>> = {
  owner: decisionOf(SEEDED_USER_ROLES.owner),
  admin: decisionOf(SEEDED_USER_ROLES.admin),
  developer: decisionOf(SEEDED_USER_ROLES.developer),
  viewer: decisionOf(SEEDED_USER_ROLES.viewer),
};

/** What a member of that role may do. */
export function decisionOfUser(role: UserRole): Decision {
  return USER_DECISIONS[role];
}

export function decisionOf({ rules, appliesTo }: SeededRole): Decision {
  return decide(rules, appliesTo === 'api_key' ? KEY_PERMISSIONS : USER_PERMISSIONS);
}

export function createPermissions({ db }: { readonly db: Database }): Permissions {
  const store = createRoleStore(db);
  // Shared by all keys that have the same; as many entries as there are sets of key roles.
  const decisionsOfSeeded = new Map<string, Decision>();

  async function ownRules(tenantId: TenantId, roleIds: readonly string[]): Promise<Rule[]> {
    const own = roleIds.filter((id) => !seededKeyRole(id));
    return own.length === 0 ? [] : store.rulesOfKeyRoles(tenantId, own);
  }

  return {
    async listRoles(tenantId, { page, perPage, order, subjectKind }) {
      const roles = [...SEEDED_ROLES.map(listedRole), ...(await store.list(tenantId))]
        .filter(({ appliesTo }) => subjectKind === null || appliesTo.includes(subjectKind))
        .sort((one, other) => compare(one.name, other.name) || compare(one.id, other.id));
      if (order === 'desc') roles.reverse();
      const offset = offsetOf(page, perPage);
      return { rows: roles.slice(offset, offset + perPage), total: roles.length };
    },

    async decisionOfKey(tenantId, access) {
      if (access.full) return FULL_ACCESS;
      const roleIds = [...new Set(access.roleIds)].sort();
      const isShared = access.grants.length === 0 && roleIds.every(seededKeyRole);
      const name = roleIds.join(' ');
      const shared = isShared ? decisionsOfSeeded.get(name) : undefined;
      if (shared) return shared;
      const decision = decide(
        [
          ...roleIds.flatMap((id) => seededKeyRole(id)?.rules ?? []),
          ...(await ownRules(tenantId, roleIds)),
          ...access.grants.map(ruleOf),
        ],
        KEY_PERMISSIONS,
      );
      if (isShared) decisionsOfSeeded.set(name, decision);
      return decision;
    },
  };
}

/** By code units, as the databases order text. */
function compare(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function ruleOf({ permission, resource }: Grant): Rule {
  const [resourceType = '', action = ''] = permission.split(':');
  return { resourceType, actions: [action], effect: 'allow', resource };
}

function listedRole(role: SeededRole): Role {
  const { id, name, description, appliesTo } = role;
  return { id, name, description, appliesTo: [appliesTo], isSeeded: true };
}
