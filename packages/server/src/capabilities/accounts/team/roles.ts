import { USER_ROLES, type UserRole } from '../../../kernel/principal.js';

/** To which roles a member of that role invites nobody: only an Owner makes an Owner, and who does not manage the team none. */
export function rolesOutOfReach(role: UserRole): readonly UserRole[] {
  if (role === 'owner') return [];
  return role === 'admin' ? ['owner'] : USER_ROLES;
}
