import { notFound } from '../../../kernel/errors.js';
import { isUuid, type Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Page } from '../../../platform/http/route.js';
import type { Database, Transaction } from '../../../platform/storage/database.js';
import type { Pki } from '../../pki/index.js';
import type { AccountEnds } from '../account-ends.js';
import type { AccountQuery, AccountStore, ListedAccount } from '../account-store.js';

/** The accounts that clients have opened at a role, for the tenant. 404 where there is no such root, role or account. */
export interface AcmeClients {
  list(caller: Caller, root: string, role: string, query: AccountQuery): Promise<Page<ListedAccount>>;
  /** Ends it and what it has begun; its certificates stay. One that has ended stays as it is. Answers it as it is then. */
  revoke(caller: Caller, root: string, role: string, id: string): Promise<ListedAccount>;
}

export interface AcmeClientsDeps {
  readonly db: Database;
  readonly roles: Pick<Pki['roles'], 'get'>;
  readonly accounts: Pick<AccountStore, 'listAccounts' | 'findListed'>;
  readonly ends: AccountEnds;
}

export function createAcmeClients({ db, roles, accounts, ends }: AcmeClientsDeps): AcmeClients {
  async function find(tx: Transaction, scope: Scope, roleId: string, id: string): Promise<ListedAccount> {
    const account = isUuid(id) ? await accounts.findListed(scope, id.toLowerCase(), tx) : undefined;
    if (account?.roleId !== roleId) throw notFound('ACME account');
    return account;
  }

  return {
    async list(caller, rootName, roleName, query) {
      const role = await roles.get(caller, rootName, roleName);
      const found = await accounts.listAccounts(caller.principal.scope, role.id, query);
      return { ...found, page: query.page, perPage: query.perPage };
    },

    async revoke(caller, rootName, roleName, id) {
      const { scope } = caller.principal;
      const role = await roles.get(caller, rootName, roleName);
      return db.transaction(async (tx) => {
        const account = await find(tx, scope, role.id, id);
        await ends.end(tx, actorOf(caller), role, account, 'revoked');
        const revoked = await find(tx, scope, role.id, id);
        await recordAnswer(tx, caller, revoked);
        return revoked;
      });
    },
  };
}
