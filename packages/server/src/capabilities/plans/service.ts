import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { ApiKeyId, IdSource, Scope, TenantId } from '../../kernel/ids.js';
import type { CappedResource, Plan, PlanFeature, PlanTier, PlanTiers } from '../../kernel/plan-tiers.js';
import type { Principal } from '../../kernel/principal.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { KeyRateLimit, RateLimitStatus } from '../../kernel/rate-limit.js';
import { createShare } from '../../kernel/share.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { RequestLimits } from '../../platform/http/caller.js';
import type { Allowance } from '../../platform/limits/allowance.js';
import { requestLimitExceeded } from '../../platform/limits/errors.js';
import type { LimitRule } from '../../platform/limits/meters.js';
import type { RateLimiter } from '../../platform/limits/rate-limiter.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import { type Accounts, credentialGeneration, type Tenant } from '../accounts/index.js';
import { ephemeralOff, planFeatureMissing, resourceCapReached } from './errors.js';
import { type Month, monthOf } from './month.js';
import { createOperationCounters } from './operations.js';
import { createPlansStore, type SubscriptionDates } from './store.js';
import { type Standing, standingOf } from './subscription.js';

export interface PlansDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Pick<Logger, 'warn'>;
  readonly tiers: PlanTiers;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly generations: Pick<Generations, 'current'>;
  readonly limiter: RateLimiter;
}

/** What an admitted ephemeral call counts with. */
export interface OperationMeter {
  /** Once the call has passed step 3 of dataplane.md §1.3; refuses when others took the last one meanwhile. */
  count(): void;
}

export interface Account extends Standing {
  readonly tenant: Tenant;
  readonly dates: SubscriptionDates;
  readonly period: Month;
}

export interface Usage extends Standing {
  readonly period: Month;
  readonly operations: { readonly used: number; readonly limit: number | null };
  readonly caps: PlanTier['caps'];
}

export interface Room {
  /** 402 where one more would be too many. */
  require(used: number): void;
}

export interface Plans extends RequestLimits {
  /** With the limits of what is called between those of the tenant and of the credential (dataplane.md §9). */
  admit(principal: Principal, ofCalled?: readonly Allowance[]): Promisable<RateLimitStatus | null>;
  /** Step 2 of dataplane.md §1.3: the switch, the operations of the month, then the requests of a second. */
  admitOperation(scope: Scope): Promisable<OperationMeter>;
  /** 402 where the tenant's tier does not have it; asked when something is created or enabled, never on a read. */
  requireFeature(tenantId: TenantId, feature: PlanFeature): Promise<void>;
  /** How many live rows the plan has room for: asked before the transaction that counts them, which sandbox rows never are. */
  roomFor(scope: Scope, resource: CappedResource): Promise<Room>;
  /** How long rows of the tenant's request log are kept. */
  logKeptMs(tenantId: TenantId): Promise<number>;
  /** By the plan that keeps them longest. */
  readonly logKeptMsMax: number;
  account(tenantId: TenantId): Promise<Account>;
  usage(tenantId: TenantId): Promise<Usage>;
  /** Writes pending counts. */
  stop(): Promise<void>;
}

const TENANTS_KEPT = 10_000;
const KEYS_KEPT = 10_000;
const DAY_MS = 86_400_000;

/** Of one mode of a tenant; null = not limited. */
interface ModeLimits {
  readonly requests: Allowance | null;
  readonly ephemeral: Allowance | null;
  readonly operations: OperationMeter;
}

interface Validity {
  readonly generationName: string;
  readonly generation: number;
  /** A trial's end changes the plan without a generation. */
  readonly validUntilMs: number;
}

/** What a tenant's calls are judged by, made once a generation. */
interface TenantLimits extends Validity {
  readonly plan: Plan;
  readonly tier: PlanTier;
  readonly isEphemeralOn: boolean;
  readonly assertOperationLeft: () => Promisable<void>;
  readonly live: ModeLimits;
  readonly test: ModeLimits;
}

const NO_LIMITS: readonly Allowance[] = [];
const NOT_METERED: OperationMeter = { count() {} };

export function createPlans(deps: PlansDeps): Plans {
  const { clock, tiers, accounts, generations, limiter } = deps;
  const store = createPlansStore(deps.db);
  const counters = createOperationCounters({ ...deps, store });
  const known = new Map<TenantId, TenantLimits>();
  const share = createShare<TenantLimits>();
  const ofKeys = new Map<ApiKeyId, { readonly limit: KeyRateLimit; readonly allowance: Allowance }>();

  /** On the way of every call: no text is put together here, and what is compared is at hand. */
  function knownLimits(tenantId: TenantId): TenantLimits | undefined {
    const limits = known.get(tenantId);
    if (limits === undefined || generations.current(limits.generationName) !== limits.generation)
      return undefined;
    return limits.validUntilMs === Number.POSITIVE_INFINITY || clock.nowMs() < limits.validUntilMs
      ? limits
      : undefined;
  }

  /** Those who ask meanwhile share a read, but never one that began under an older generation. */
  function readLimits(tenantId: TenantId): Promise<TenantLimits> {
    const generationName = credentialGeneration(tenantId);
    const generation = generations.current(generationName);
    const name = `${generationName}:${generation}`;
    return share(name, async () => {
      const { tenant, plan, changesAtMs } = await account(tenantId);
      const oldest = known.keys().next();
      if (known.size >= TENANTS_KEPT && !oldest.done) known.delete(oldest.value);
      const limits = makeLimits(tenant, plan, { generationName, generation, validUntilMs: changesAtMs });
      known.set(tenantId, limits);
      return limits;
    });
  }

  function makeLimits(tenant: Tenant, plan: Plan, validity: Validity): TenantLimits {
    const tier = tiers[plan];
    const { enabled, operationsPerMonth } = tier.ephemeral;
    const operations = counters.of(tenant.id);
    return {
      plan,
      tier,
      isEphemeralOn: enabled && tenant.ephemeralEnabled !== false,
      assertOperationLeft: () =>
        operationsPerMonth === null ? undefined : operations.assertRoom(operationsPerMonth),
      live: modeLimits({ tenantId: tenant.id, sandbox: false }, tier, {
        count: () => operations.count(operationsPerMonth),
      }),
      test: modeLimits({ tenantId: tenant.id, sandbox: true }, tier, NOT_METERED),
      ...validity,
    };
  }

  function modeLimits(scope: Scope, tier: PlanTier, operations: OperationMeter): ModeLimits {
    const { requestsPerMinute, ephemeral } = tier;
    return {
      requests: allowanceOf(scope, 'tenant', requestsPerMinute, { kind: 'bucket', windowSec: 60 }),
      ephemeral: allowanceOf(scope, 'proxy', ephemeral.requestsPerSecond, { kind: 'sliding', windowSec: 1 }),
      operations,
    };
  }

  function allowanceOf(
    scope: Scope,
    name: 'tenant' | 'proxy',
    requests: number | null,
    window: Pick<LimitRule, 'kind' | 'windowSec'>,
  ): Allowance | null {
    return requests === null ? null : limiter.allowance(scope, name, { scope: name, requests, ...window });
  }

  function allowanceOfKey(principal: Principal): Allowance | null {
    if (principal.apiKeyId === null || !principal.rateLimit) return null;
    const { scope, apiKeyId, rateLimit } = principal;
    const made = ofKeys.get(apiKeyId);
    // The same object as long as the credential has not been read again.
    if (made?.limit === rateLimit) return made.allowance;
    const { requests, windowSeconds } = rateLimit;
    const rule: LimitRule = { scope: 'key', kind: 'sliding', requests, windowSec: windowSeconds };
    const allowance = limiter.allowance(scope, `key:${apiKeyId}`, rule);
    const oldest = ofKeys.keys().next();
    // Its count stays with the limiter: only the way to it is found again.
    if (ofKeys.size >= KEYS_KEPT && !oldest.done) ofKeys.delete(oldest.value);
    ofKeys.set(apiKeyId, { limit: rateLimit, allowance });
    return allowance;
  }

  async function account(tenantId: TenantId): Promise<Account> {
    const tenant = await accounts.tenantById(tenantId);
    if (!tenant) throw notFound('Account');
    const dates = await store.subscriptionDates(tenantId);
    const nowMs = clock.nowMs();
    return { tenant, dates, period: monthOf(nowMs), ...standingOf(tenant, dates, nowMs) };
  }

  return {
    admit(principal, ofCalled = NO_LIMITS) {
      const limits = knownLimits(principal.scope.tenantId);
      if (limits === undefined)
        return readLimits(principal.scope.tenantId).then((read) => take(read, principal, ofCalled));
      return take(limits, principal, ofCalled);
    },

    admitOperation(scope) {
      const limits = knownLimits(scope.tenantId);
      if (limits === undefined) return readLimits(scope.tenantId).then((read) => takeOperation(read, scope));
      return takeOperation(limits, scope);
    },

    async requireFeature(tenantId, feature) {
      const { plan, tier } = knownLimits(tenantId) ?? (await readLimits(tenantId));
      if (!tier.features.includes(feature)) throw planFeatureMissing(plan, feature);
    },

    async roomFor({ tenantId, sandbox }, resource) {
      const { plan, tier } = knownLimits(tenantId) ?? (await readLimits(tenantId));
      const cap = sandbox ? null : tier.caps[resource];
      return {
        require(used) {
          if (cap !== null && used >= cap) throw resourceCapReached(plan, resource, cap);
        },
      };
    },

    logKeptMsMax: DAY_MS * Math.max(...Object.values(tiers).map((tier) => tier.logRetentionDays)),

    // Not by `knownLimits`: asked once in a while for every tenant, it would push out those that call.
    async logKeptMs(tenantId) {
      // Of one that is being deleted they go with it.
      if (!(await accounts.tenantById(tenantId))) return this.logKeptMsMax;
      return DAY_MS * tiers[(await account(tenantId)).plan].logRetentionDays;
    },

    account,

    async usage(tenantId) {
      const { plan, status, changesAtMs, period } = await account(tenantId);
      const { caps, ephemeral } = tiers[plan];
      const operations = { used: await counters.used(tenantId), limit: ephemeral.operationsPerMonth };
      return { plan, status, changesAtMs, period, operations, caps };
    },

    stop: () => counters.stop(),
  };

  function takeOperation(limits: TenantLimits, { sandbox }: Scope): Promisable<OperationMeter> {
    if (!limits.isEphemeralOn) throw ephemeralOff(limits.plan);
    const { ephemeral, operations } = sandbox ? limits.test : limits.live;
    const hasRoom = sandbox ? undefined : limits.assertOperationLeft();
    if (hasRoom === undefined && ephemeral === null) return operations;
    return takeSecond(hasRoom, ephemeral).then(() => operations);
  }

  function take(
    limits: TenantLimits,
    principal: Principal,
    ofCalled: readonly Allowance[],
  ): Promisable<RateLimitStatus | null> {
    const { requests } = principal.scope.sandbox ? limits.test : limits.live;
    const ofKey = allowanceOfKey(principal);
    if (requests !== null && ofKey === null && ofCalled.length === 0) return takeOne(requests);
    const all = [...(requests === null ? [] : [requests]), ...ofCalled, ...(ofKey === null ? [] : [ofKey])];
    return all.length === 0 ? null : takeAll(all);
  }
}

async function takeSecond(hasRoom: Promisable<void>, ofSecond: Allowance | null): Promise<void> {
  await hasRoom;
  const status = await ofSecond?.take();
  if (status && !status.isAllowed) throw requestLimitExceeded(status);
}

function takeOne(allowance: Allowance): Promisable<RateLimitStatus> {
  const status = allowance.take();
  return isPending(status) ? status.then(admitted) : admitted(status);
}

function admitted(status: RateLimitStatus): RateLimitStatus {
  if (!status.isAllowed) throw requestLimitExceeded(status);
  return status;
}

/** In their order, the tenant's first (dataplane.md §9); what was given is given back when a later one refuses. */
function takeAll(
  allowances: readonly Allowance[],
  from = 0,
  narrowest: RateLimitStatus | null = null,
): Promisable<RateLimitStatus> {
  let least = narrowest;
  for (let at = from; at < allowances.length; at++) {
    const giveBack = (error: unknown): never => {
      for (const given of allowances.slice(0, at)) given.giveBack();
      throw error;
    };
    const narrower = (status: RateLimitStatus): RateLimitStatus => {
      admitted(status);
      return least === null || status.remaining < least.remaining ? status : least;
    };
    let taken: Promisable<RateLimitStatus>;
    try {
      taken = allowances[at]!.take();
      if (!isPending(taken)) least = narrower(taken);
    } catch (error) {
      return giveBack(error);
    }
    if (isPending(taken))
      return taken
        .then(narrower)
        .catch(giveBack)
        .then((status) => takeAll(allowances, at + 1, status));
  }
  return least!;
}
