import { permissionMissing } from '../../../kernel/errors.js';
import type { Caller } from '../../../kernel/principal.js';
import type { ProxyCall } from '../call.js';

export async function authenticate(call: ProxyCall): Promise<Caller> {
  const caller = await call.exchange.authenticate(call.headers.credentials);
  call.caller = caller;
  return caller;
}

export function requirePermission(caller: Caller, permission: string): void {
  if (!caller.principal.may(permission)) throw permissionMissing(permission);
}
