import type { DbConnectionId, DbRoleId } from '../../../kernel/ids.js';
import type { GroupRole, TemplateName } from '../providers/engine.js';
import type { Role } from './store.js';

/** Random digits: ids begin with their time (docs/decisions/0006), which two of one minute have in common. */
const ID_DIGITS = 8;

/**
 * One for each template of a connection; a role with schemas of its own has one of its own (dyn-db.md §3.1). Its name is
 * not that of another connection to the same server.
 */
export function groupRole(
  template: TemplateName,
  schemas: readonly string[] | null,
  ids: { readonly connection: DbConnectionId; readonly role: DbRoleId },
): GroupRole {
  const owner = schemas === null ? ids.connection : ids.role;
  return { name: `kc_tpl_${template}_${owner.slice(-ID_DIGITS)}`, template, schemas };
}

/** Each once. */
export function groupsOf(roles: readonly Pick<Role, 'statements'>[]): GroupRole[] {
  const groups = roles.flatMap(({ statements }) => statements.group ?? []);
  return [...new Map(groups.map((group) => [group.name, group])).values()];
}
