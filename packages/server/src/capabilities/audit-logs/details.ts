import type { Principal } from '../../kernel/principal.js';

/** Of users, those that contract README §2.3 lets read `details`. */
const ROLES_WITH_DETAILS: ReadonlySet<unknown> = new Set(['owner', 'admin']);

/** Keys and OAuth clients read sanitised details; who acts as a user does by that user's role (auth.md §8.1). */
export function mayReadDetails(principal: Principal): boolean {
  if (principal.userId === null) return true;
  return 'role' in principal && ROLES_WITH_DETAILS.has(principal.role);
}
