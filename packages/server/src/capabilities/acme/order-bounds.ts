import type { Clock } from '../../kernel/clock.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { Account } from './account-store.js';
import { countedWhile } from './network-counts.js';
import type { Order, OrderStore } from './order-store.js';
import { rateLimited } from './problems.js';
import type { AcmeCall } from './signed-requests.js';

/**
 * How many orders are begun, and for how many names: each name is three rows. Of an account; of a network, whatever accounts it has; and
 * of a role by all accounts that no key vouches for, which strangers make as they like. Those with a key are not held up by them.
 */
export interface OrderBounds {
  /** Runs what begins an order for so many names; what fails is not counted. */
  ofNetwork<T>(call: Pick<AcmeCall, 'visitor'>, names: number, begin: () => Promise<T>): Promise<T>;
  /** In the transaction that begins it. */
  admit(
    tx: Transaction,
    call: Pick<AcmeCall, 'target'>,
    account: Pick<Account, 'id' | 'externalBinding'>,
    order: Pick<Order, 'names' | 'createdAtMs'>,
  ): Promise<void>;
}

export interface OrderBoundsDeps {
  readonly clock: Clock;
  readonly orders: Pick<OrderStore, 'newestOrders' | 'countOpenOrders' | 'countInRole'>;
}

const { acmeOrderWindowMs: WINDOW_MS } = LIMITS;

export function createOrderBounds({ clock, orders }: OrderBoundsDeps): OrderBounds {
  const windowsOf = () => createCountWindows(clock, { windowMs: WINDOW_MS, namesMax: LIMITS.rateLimitsKept });
  const [begun, named] = [windowsOf(), windowsOf()];

  async function ofAccount(
    tx: Transaction,
    { target: { scope } }: Pick<AcmeCall, 'target'>,
    { id }: Pick<Account, 'id'>,
    nowMs: number,
  ): Promise<void> {
    // Those that come at once are counted one after the other.
    await tx.lock('acme_accounts', id);
    const { acmeOrdersPerWindowMax: most } = LIMITS;
    const times = await orders.newestOrders(scope, id, nowMs - WINDOW_MS, most, tx);
    const oldest = times[most - 1];
    if (oldest !== undefined)
      throw rateLimited('Too many new orders of this account', oldest + WINDOW_MS - nowMs);
    if ((await orders.countOpenOrders(scope, id, nowMs, tx)) >= LIMITS.acmeOpenOrdersMax)
      throw rateLimited('Too many orders of this account are not finished', WINDOW_MS);
  }

  return {
    ofNetwork({ visitor }, names, begin) {
      const network = networkOf(visitor.ip);
      const ofOrders = {
        window: begun(network),
        count: 1,
        most: LIMITS.acmeOrdersPerNetworkMax,
        what: 'orders',
      };
      const ofNames = {
        window: named(network),
        count: names,
        most: LIMITS.acmeNamesPerNetworkMax,
        what: 'names in orders',
      };
      return countedWhile(ofOrders, () => countedWhile(ofNames, begin));
    },

    async admit(tx, call, account, { names, createdAtMs: nowMs }) {
      await ofAccount(tx, call, account, nowMs);
      if (account.externalBinding !== null) return;
      const { scope, role } = call.target;
      const window = { nowMs, endsAtMs: nowMs + WINDOW_MS };
      const counted = await orders.countInRole(tx, scope, role.id, names.length, window);
      if (counted.orders > LIMITS.acmeOrdersPerRoleMax || counted.names > LIMITS.acmeNamesPerRoleMax)
        throw rateLimited('Too many new orders of accounts without a key', counted.endsAtMs - nowMs);
    },
  };
}
