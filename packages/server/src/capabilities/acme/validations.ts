import type { Clock } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { type Validation, ValidationFailed } from '../../platform/egress/validation.js';
import type { JobContext, JobReport } from '../../platform/jobs/definition.js';
import { type CountWindow, createCountWindows } from '../../platform/limits/count-windows.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { AccountStore } from './account-store.js';
import type { Authorization, Challenge, OrderStore } from './order-store.js';
import { AcmeProblem, type ProblemDocument } from './problems.js';

/**
 * Tries challenges, outside of any transaction and as a job: one whose process dies is tried again by another, and who has lost
 * the job writes nothing.
 */
export interface Validations {
  run(scope: Scope, challengeId: string, job: Pick<JobContext, 'fence'>): Promise<JobReport>;
  /** Of that account and name, in this process. */
  failuresOf(authorization: Pick<Authorization, 'accountId' | 'name'>): CountWindow;
}

export interface ValidationsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info'>;
  readonly accounts: Pick<AccountStore, 'findAccount'>;
  readonly orders: OrderStore;
  readonly validation: Validation;
}

const PATH = '/.well-known/acme-challenge/';
/**
 * A tenant has only so many of the places of a process: slow names of one delay no other for long. Those that are put off come back one
 * after the other, or each of thousands would be claimed and written four times a second.
 */
const AGAIN_MS = 250;
const AGAIN_APART_MS = 20;

/** Of one tenant, while any of its names is being asked for. */
interface UnderWay {
  count: number;
  /** When the last of those that were put off comes back. */
  lastAgainMs: number;
}

export function createValidations(deps: ValidationsDeps): Validations {
  const { db, clock, logger, accounts, orders, validation } = deps;
  const underWay = new Map<string, UnderWay>();
  const windows = createCountWindows(clock, {
    windowMs: LIMITS.acmeFailureWindowMs,
    namesMax: LIMITS.rateLimitsKept,
  });
  const failuresOf: Validations['failuresOf'] = ({ accountId, name }) => windows(`${accountId} ${name}`);

  async function inPlace<T>({ tenantId }: Scope, work: () => Promise<T>): Promise<T> {
    const own = underWay.get(tenantId) ?? { count: 0, lastAgainMs: 0 };
    underWay.set(tenantId, own);
    own.count++;
    try {
      return await work();
    } finally {
      own.count--;
      if (own.count === 0) underWay.delete(tenantId);
    }
  }

  /** Null where there is a place. */
  function putOffMs({ tenantId }: Scope): number | null {
    const own = underWay.get(tenantId);
    if (!own || own.count < LIMITS.acmeValidationsPerTenantMax) return null;
    const nowMs = clock.monotonicMs();
    own.lastAgainMs = Math.max(nowMs + AGAIN_MS, own.lastAgainMs + AGAIN_APART_MS);
    return own.lastAgainMs - nowMs;
  }

  /** Null where the name was proven. */
  async function attempt(
    challenge: Challenge,
    name: string,
    thumbprint: string,
  ): Promise<AcmeProblem | null> {
    const keyAuthorization = `${challenge.token}.${thumbprint}`;
    try {
      return challenge.type === 'http-01'
        ? await tryPage(name, challenge.token, keyAuthorization)
        : await tryTexts(name, keyAuthorization);
    } catch (error) {
      if (!(error instanceof ValidationFailed)) throw error;
      logger.info(
        { challenge: challenge.id, fault: error.fault, detail: error.detail },
        'a name was not validated',
      );
      return new AcmeProblem(error.fault, error.message);
    }
  }

  async function tryPage(name: string, token: string, wanted: string): Promise<AcmeProblem | null> {
    const text = await validation.page(name, PATH + token);
    if (text.trimEnd() === wanted) return null;
    return new AcmeProblem(
      'incorrectResponse',
      'The page does not hold the key authorization of the challenge',
    );
  }

  async function tryTexts(name: string, keyAuthorization: string): Promise<AcmeProblem | null> {
    const wanted = sha256(keyAuthorization).toString('base64url');
    const texts = await validation.texts(name);
    if (texts.includes(wanted)) return null;
    const detail = 'No TXT record of _acme-challenge is the digest of the key authorization of the challenge';
    return new AcmeProblem('incorrectResponse', detail);
  }

  async function settle(
    scope: Scope,
    challenge: Challenge,
    authorization: Authorization,
    problem: AcmeProblem | null,
    fence: JobContext['fence'],
  ): Promise<void> {
    const error = problem === null ? null : documentOf(problem, authorization);
    await db.transaction(async (tx) => {
      await fence(tx);
      const nowMs = clock.nowMs();
      const to = error === null ? 'valid' : 'invalid';
      const changes = error === null ? { validatedAtMs: nowMs } : { error };
      if (!(await orders.advanceChallenge(tx, scope, challenge.id, 'processing', to, changes))) return;
      const { id, orderId } = authorization;
      const expiresAtMs = error === null ? nowMs + LIMITS.acmeAuthorizationMs : authorization.expiresAtMs;
      if (!(await orders.advanceAuthorization(tx, scope, id, ['pending'], to, expiresAtMs))) return;
      if (error !== null) {
        await orders.advanceOrder(tx, scope, orderId, ['pending'], 'invalid', { error });
        return;
      }
      const all = await orders.authorizationsOf(scope, orderId, tx);
      if (all.every(({ status }) => status === 'valid'))
        await orders.advanceOrder(tx, scope, orderId, ['pending'], 'ready');
    });
    if (problem !== null) failuresOf(authorization).count++;
  }

  return {
    failuresOf,

    async run(scope, challengeId, { fence }) {
      const againInMs = putOffMs(scope);
      if (againInMs !== null) return { rows: 0, againInMs };
      return inPlace(scope, async () => {
        const challenge = await orders.findChallenge(scope, challengeId);
        if (challenge?.status !== 'processing') return { rows: 0 };
        const authorization = await orders.findAuthorization(scope, challenge.authorizationId);
        const account = authorization && (await accounts.findAccount(scope, authorization.accountId));
        if (!authorization || !account) return { rows: 0 };
        const isOpen = authorization.status === 'pending' && account.status === 'valid';
        const problem = isOpen
          ? await attempt(challenge, authorization.name, account.thumbprint)
          : new AcmeProblem('unauthorized', 'Account or authorization have ended');
        await settle(scope, challenge, authorization, problem, fence);
        return { rows: 1 };
      });
    },
  };
}

function documentOf(problem: AcmeProblem, { name }: Authorization): ProblemDocument {
  return { ...problem.document(), detail: `${name}: ${problem.detail}` };
}
