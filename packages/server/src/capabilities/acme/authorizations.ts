import type { Clock } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Database } from '../../platform/storage/database.js';
import type { Authorization, Challenge, OrderStore } from './order-store.js';
import { malformed, notAuthorized, notThere, rateLimited } from './problems.js';
import { type AccountRequest, type AcmeCall, payloadOf } from './signed-requests.js';
import type { Validations } from './validations.js';
import { authorizationStatus } from './wire.js';

export interface AuthorizationDetail {
  readonly authorization: Authorization;
  readonly challenges: readonly Challenge[];
}

/** RFC 8555 §7.5. */
export interface AcmeAuthorizations {
  /** Reads it, or deactivates it (§7.5.2). */
  update(call: AcmeCall, request: AccountRequest, id: string): Promise<AuthorizationDetail>;
  /** Reads a challenge, or says that it can be tried (§7.5.1). */
  respond(
    call: AcmeCall,
    request: AccountRequest,
    challengeId: string,
  ): Promise<{ readonly authorization: Authorization; readonly challenge: Challenge }>;
}

export interface AcmeAuthorizationsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly orders: OrderStore;
  readonly jobs: Pick<Jobs, 'enqueue'>;
  readonly validations: Pick<Validations, 'failuresOf'>;
}

export const VALIDATION_JOB = 'acme_validation';

export function createAcmeAuthorizations(deps: AcmeAuthorizationsDeps): AcmeAuthorizations {
  const { db, clock, orders, jobs, validations } = deps;

  async function find({ target }: AcmeCall, { account }: AccountRequest, id: string): Promise<Authorization> {
    const authorization = await orders.findAuthorization(target.scope, id);
    if (authorization?.accountId !== account.id) throw notThere('Authorization or challenge');
    return authorization;
  }

  async function deactivate({ target: { scope } }: AcmeCall, { id, orderId }: Authorization): Promise<void> {
    await db.transaction(async (tx) => {
      if (!(await orders.advanceAuthorization(tx, scope, id, ['pending', 'valid'], 'deactivated')))
        throw malformed('Only an authorization that is pending or valid can be deactivated');
      const error = notAuthorized('An authorization of the order was deactivated').document();
      await orders.advanceOrder(tx, scope, orderId, ['pending', 'ready'], 'invalid', { error });
    });
  }

  return {
    async update(call, request, id) {
      const { scope } = call.target;
      const authorization = await find(call, request, id);
      if (request.payload.length > 0) {
        if (payloadOf(request).status !== 'deactivated')
          throw malformed('status may be set to deactivated alone');
        await deactivate(call, authorization);
      }
      const after = await find(call, request, id);
      return { authorization: after, challenges: await orders.challengesOf(scope, id) };
    },

    async respond(call, request, challengeId) {
      const { scope } = call.target;
      const challenge = await orders.findChallenge(scope, challengeId);
      if (!challenge) throw notThere('Authorization or challenge');
      const authorization = await find(call, request, challenge.authorizationId);
      if (request.payload.length === 0) return { authorization, challenge };
      // RFC 8555 §7.5.1: {}; what more it held for other types is nothing here.
      payloadOf(request);
      // Asked again, or too late: how it stands is the answer.
      if (challenge.status !== 'pending' || authorizationStatus(authorization, clock.nowMs()) !== 'pending')
        return { authorization, challenge };
      const failures = validations.failuresOf(authorization);
      if (failures.count >= LIMITS.acmeFailuresPerNameMax)
        throw rateLimited('The name could not be validated too many times', failures.leftMs());
      await db.transaction(async (tx) => {
        if (!(await orders.advanceChallenge(tx, scope, challenge.id, 'pending', 'processing'))) return;
        const payload = { tenant_id: scope.tenantId, sandbox: scope.sandbox, challenge_id: challenge.id };
        await jobs.enqueue(tx, VALIDATION_JOB, payload, { key: challenge.id });
      });
      return { authorization, challenge: (await orders.findChallenge(scope, challengeId)) ?? challenge };
    },
  };
}
