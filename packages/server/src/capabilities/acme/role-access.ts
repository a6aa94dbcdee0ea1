import { notFound } from '../../kernel/errors.js';
import type { Caller } from '../../kernel/principal.js';
import type { CaRole, Pki } from '../pki/index.js';

/** 404 where there is no such root or role; 403 of the reserved root. */
export async function roleOf(
  roles: Pick<Pki['roles'], 'list'>,
  caller: Caller,
  rootName: string,
  nameOrId: string,
): Promise<CaRole> {
  const all = await roles.list(caller, rootName);
  const role = all.find(({ name }) => name === nameOrId) ?? all.find(({ id }) => id === nameOrId);
  if (!role) throw notFound('Role');
  return role;
}
