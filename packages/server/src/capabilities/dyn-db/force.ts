import { permissionMissing } from '../../kernel/errors.js';
import type { Caller } from '../../kernel/principal.js';

/** Besides the permission of the route: users are left behind (dyn-db.md §4, §7). */
export function requireForce(caller: Caller, { force }: { readonly force: boolean }): void {
  if (force && !caller.principal.may('dyn-db:force')) throw permissionMissing('dyn-db:force');
}
