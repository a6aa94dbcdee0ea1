import type { Clock } from '../../kernel/clock.js';
import type { Actor } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { AccountStore } from './account-store.js';
import { type AuditedAccount, type AuditedRole, accountEntry } from './audit.js';
import type { OrderStore } from './order-store.js';
import { notAuthorized } from './problems.js';
import type { AccountStatus } from './tables.js';

export interface AccountEnds {
  /** With all that it had begun, and audited; false where it had ended already. In the transaction of the change. */
  end(
    tx: Transaction,
    actor: Actor,
    role: AuditedRole,
    account: AuditedAccount,
    status: Exclude<AccountStatus, 'valid'>,
  ): Promise<boolean>;
}

export function createAccountEnds(deps: {
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly accounts: Pick<AccountStore, 'endAccount'>;
  readonly orders: Pick<OrderStore, 'endOf'>;
}): AccountEnds {
  const { clock, auditLogs, accounts, orders } = deps;
  return {
    async end(tx, actor, role, account, status) {
      const { scope } = actor;
      if (!(await accounts.endAccount(tx, scope, account.id, status, clock.nowMs()))) return false;
      const problem = notAuthorized(`The account was ${status}`);
      await orders.endOf(tx, scope, account.id, problem.document());
      await auditLogs.record(tx, actor, accountEntry(role, status, account));
      return true;
    },
  };
}
