import type { Scope } from '../../kernel/ids.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { Authorities, Authority } from '../authorities/index.js';
import { CLIENT_ROOT_NAME } from '../client-ca/index.js';
import { reservedRoot, rootNotFound, rootRetired } from './errors.js';

/** The roots that a call may name. */
export interface RootAccess {
  /** Of a tenant's own, retired ones too. 404; 403 of the reserved one. */
  own(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Authority>;
  /** One that signs. 409 where it is retired. */
  active(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Authority>;
}

export function createRootAccess(authorities: Pick<Authorities, 'findRoot'>): RootAccess {
  async function own(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Authority> {
    if (nameOrId === CLIENT_ROOT_NAME) throw reservedRoot();
    const root = await authorities.findRoot(scope, nameOrId, tx);
    if (!root) throw rootNotFound();
    if (root.name === CLIENT_ROOT_NAME) throw reservedRoot();
    return root;
  }
  return {
    own,
    async active(scope, nameOrId, tx) {
      const root = await own(scope, nameOrId, tx);
      if (root.status !== 'active') throw rootRetired(root.name);
      return root;
    },
  };
}
