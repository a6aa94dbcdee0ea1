import type { Clock } from '../../kernel/clock.js';
import { isAppError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Actor } from '../../kernel/principal.js';
import type { JobContext, JobReport } from '../../platform/jobs/definition.js';
import type { Database } from '../../platform/storage/database.js';
import type { PkiIssuing } from '../pki/index.js';
import { CsrRefused } from '../x509/index.js';
import type { Account, AccountStore } from './account-store.js';
import { requireBinding } from './external-keys.js';
import type { Order, OrderStore } from './order-store.js';
import { AcmeProblem, notAuthorized } from './problems.js';
import { authorizationStatus } from './wire.js';

/**
 * Makes the certificates of orders that were finalized, as a job: the certificate is known, audited and its order valid in one
 * commit, or none of it is and the job is run again.
 */
export interface Issuance {
  run(actor: Actor, orderId: string, job: Pick<JobContext, 'fence' | 'attempt'>): Promise<JobReport>;
  /** Does what brings the job about, then waits for its end in this process, for a while. */
  settled(orderId: string, begin: () => Promise<void>): Promise<void>;
}

export interface IssuanceDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly accounts: Pick<AccountStore, 'findAccount'>;
  readonly orders: OrderStore;
  readonly pki: Pick<PkiIssuing, 'findAcmeRole' | 'refusedName' | 'prepareForAcme'>;
}

/** Runs of one order: a KMS may be away for a while. */
export const ISSUANCE_ATTEMPTS_MAX = 8;

export function createIssuance(deps: IssuanceDeps): Issuance {
  const { db, clock, accounts, orders, pki } = deps;
  const waiting = new Map<string, Set<() => void>>();

  async function settled(orderId: string, begin: () => Promise<void>): Promise<void> {
    let wake = () => {};
    const ended = new Promise<void>((resolve) => {
      wake = resolve;
    });
    // Before the job is there, which may be over at once.
    const others = waiting.get(orderId) ?? new Set();
    waiting.set(orderId, others.add(wake));
    let cancel = () => {};
    try {
      await begin();
      cancel = clock.setTimer(LIMITS.acmeFinalizeWaitMs, wake);
      await ended;
    } finally {
      cancel();
      others.delete(wake);
      if (others.size === 0) waiting.delete(orderId);
    }
  }

  async function issue(
    actor: Actor,
    order: Order,
    account: Account,
    fence: JobContext['fence'],
  ): Promise<void> {
    const { scope } = actor;
    const target = await pki.findAcmeRole(scope.tenantId, account.rootId, account.roleId);
    if (!target) throw notAuthorized('The role is no longer there for ACME');
    requireBinding(target.role, account);
    for (const name of order.names) {
      const reason = pki.refusedName(target.role, name);
      if (reason !== null) throw new AcmeProblem('rejectedIdentifier', reason);
    }
    const prepared = await pki.prepareForAcme(actor, target, order.csr!, order.names, account.id);
    await db.transaction(async (tx) => {
      await fence(tx);
      const authorizations = await orders.authorizationsOf(scope, order.id, tx);
      if (!authorizations.every((one) => authorizationStatus(one, clock.nowMs()) === 'valid'))
        throw notAuthorized('An authorization of the order is not valid any longer');
      const { serial, chainPem: certificate } = prepared;
      // The account may have ended meanwhile, and its orders with it.
      if (await orders.advanceOrder(tx, scope, order.id, ['processing'], 'valid', { serial, certificate }))
        await prepared.record(tx);
    });
  }

  async function fail(
    scope: Scope,
    order: Order,
    problem: AcmeProblem,
    fence: JobContext['fence'],
  ): Promise<void> {
    await db.transaction(async (tx) => {
      await fence(tx);
      await orders.advanceOrder(tx, scope, order.id, ['processing'], 'invalid', {
        error: problem.document(),
      });
    });
  }

  return {
    settled,

    async run(actor, orderId, { fence, attempt }) {
      const { scope } = actor;
      const order = await orders.findOrder(scope, orderId);
      const account = order && (await accounts.findAccount(scope, order.accountId));
      if (order?.status !== 'processing' || !account) return { rows: 0 };
      try {
        await issue(actor, order, account, fence);
      } catch (error) {
        const problem = problemOf(error) ?? (attempt >= ISSUANCE_ATTEMPTS_MAX ? gaveUp() : null);
        if (problem === null) throw error;
        await fail(scope, order, problem, fence);
      }
      for (const wake of waiting.get(orderId) ?? []) wake();
      return { rows: 1 };
    },
  };
}

/** What another run would end with too; null for what may pass. */
function problemOf(error: unknown): AcmeProblem | null {
  if (error instanceof AcmeProblem) return error;
  if (error instanceof CsrRefused) return new AcmeProblem('badCSR', `csr: ${error.reason}`);
  if (isAppError(error, 'validation_error')) return new AcmeProblem('badCSR', error.publicMessage);
  if (isAppError(error, 'conflict') || isAppError(error, 'not_found'))
    return notAuthorized(error.publicMessage);
  return null;
}

function gaveUp(): AcmeProblem {
  return new AcmeProblem('serverInternal', 'The certificate could not be made; begin another order');
}
