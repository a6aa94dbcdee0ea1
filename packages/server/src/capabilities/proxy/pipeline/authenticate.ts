import { permissionMissing } from '../../../kernel/errors.js';
import type { Caller } from '../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { ProxyCall } from '../call.js';

export function authenticate(call: ProxyCall): Promisable<Caller> {
  const found = call.exchange.authenticate(call.headers.credentials);
  if (isPending(found)) return found.then((caller) => known(call, caller));
  return known(call, found);
}

function known(call: ProxyCall, caller: Caller): Caller {
  call.caller = caller;
  return caller;
}

export function requirePermission(caller: Caller, permission: string): void {
  if (!caller.principal.may(permission)) throw permissionMissing(permission);
}
