import type { Principal, UserRole } from '../../kernel/principal.js';

/** Of users, those that contract README §2.3 lets read `details`. */
const ROLES_WITH_DETAILS: ReadonlySet<UserRole> = new Set(['owner', 'admin']);

/** Keys and OAuth clients read sanitised details; who acts as a user does by that user's role (auth.md §8.1). */
export function mayReadDetails(principal: Principal): boolean {
  if (principal.kind === 'client') return false;
  if (principal.kind === 'wrap_token' || principal.kind === 'inbound_webhook') return false;
  if (principal.kind === 'api_key' || principal.role === null) return true;
  return ROLES_WITH_DETAILS.has(principal.role);
}
