import { z } from 'zod';

export const PLANS = ['free', 'starter', 'pro', 'enterprise'] as const;
export type Plan = (typeof PLANS)[number];

export type CappedResource = 'routes' | 'secrets' | 'clients' | 'environments';

/** What a tier has or has not (auth.md §11). */
export const PLAN_FEATURES = [
  'access_keys',
  'oauth2_secrets',
  'analytics',
  'mail_alerts',
  'sms_alerts',
  'slack_alerts',
  'log_export',
  'live_geography',
  'custom_integrations',
] as const;
export type PlanFeature = (typeof PLAN_FEATURES)[number];

/** What a tier allows; `null` = without a limit. */
export interface PlanTier {
  readonly caps: Readonly<Record<CappedResource, number | null>>;
  readonly ephemeral: {
    readonly enabled: boolean;
    readonly operationsPerMonth: number | null;
    readonly requestsPerSecond: number | null;
  };
  /** Of all calls of a tenant in one mode: a token bucket of one minute (dataplane.md §9). */
  readonly requestsPerMinute: number | null;
  /** How long rows of the request log are kept (kms-admin.md §7). */
  readonly logRetentionDays: number;
  readonly features: readonly PlanFeature[];
}

export type PlanTiers = Readonly<Record<Plan, PlanTier>>;

const UNLIMITED = { routes: null, secrets: null, clients: null, environments: null };

/** dataplane.md §1.6 and §9, auth.md §11; what is not stated there is docs/decisions/0034. */
export const DEFAULT_TIERS: PlanTiers = {
  free: {
    caps: { routes: 5, secrets: 10, clients: 5, environments: null },
    ephemeral: { enabled: false, operationsPerMonth: 0, requestsPerSecond: 0 },
    requestsPerMinute: 100,
    logRetentionDays: 7,
    features: [],
  },
  starter: {
    caps: { routes: null, secrets: 50, clients: 10, environments: null },
    ephemeral: { enabled: true, operationsPerMonth: 100_000, requestsPerSecond: 10 },
    requestsPerMinute: 1_000,
    logRetentionDays: 7,
    features: ['analytics', 'mail_alerts'],
  },
  pro: {
    caps: { routes: 50, secrets: 100, clients: 25, environments: null },
    ephemeral: { enabled: true, operationsPerMonth: 1_000_000, requestsPerSecond: 100 },
    requestsPerMinute: 5_000,
    logRetentionDays: 30,
    features: [
      'oauth2_secrets',
      'analytics',
      'mail_alerts',
      'sms_alerts',
      'slack_alerts',
      'log_export',
      'live_geography',
    ],
  },
  enterprise: {
    caps: UNLIMITED,
    ephemeral: { enabled: true, operationsPerMonth: null, requestsPerSecond: null },
    requestsPerMinute: null,
    logRetentionDays: 90,
    features: PLAN_FEATURES,
  },
};

const COUNT_MAX = 1_000_000_000_000;
const RATE_MAX = 1_000_000;
const DAYS_MAX = 3_650;

function limit(max: number) {
  return z.number().int().min(0).max(max).nullable().optional();
}

const tierOverride = z.strictObject({
  caps: z
    .strictObject({
      routes: limit(COUNT_MAX),
      secrets: limit(COUNT_MAX),
      clients: limit(COUNT_MAX),
      environments: limit(COUNT_MAX),
    })
    .optional(),
  ephemeral: z
    .strictObject({
      enabled: z.boolean().optional(),
      operations_per_month: limit(COUNT_MAX),
      requests_per_second: limit(RATE_MAX),
    })
    .optional(),
  requests_per_minute: limit(RATE_MAX),
  log_retention_days: z.number().int().min(1).max(DAYS_MAX).optional(),
  features: z.array(z.enum(PLAN_FEATURES)).max(PLAN_FEATURES.length).optional(),
});

const planFile = z.strictObject({
  free: tierOverride.optional(),
  starter: tierOverride.optional(),
  pro: tierOverride.optional(),
  enterprise: tierOverride.optional(),
});

export type TiersReading = { readonly tiers: PlanTiers } | { readonly problems: readonly string[] };

/** The defaults with what a plan file names put in their place; every problem of the file at once, by its path. */
export function readTiers(document: unknown): TiersReading {
  const read = planFile.safeParse(document);
  if (!read.success)
    return {
      problems: read.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`),
    };
  const tiers = Object.fromEntries(
    PLANS.map((plan) => [plan, withOverride(DEFAULT_TIERS[plan], read.data[plan] ?? {})]),
  ) as Record<Plan, PlanTier>;
  return { tiers };
}

function withOverride(tier: PlanTier, override: z.output<typeof tierOverride>): PlanTier {
  const { caps, ephemeral, features } = override;
  return {
    caps: { ...tier.caps, ...given(caps ?? {}) },
    ephemeral: {
      enabled: ephemeral?.enabled ?? tier.ephemeral.enabled,
      operationsPerMonth: or(ephemeral?.operations_per_month, tier.ephemeral.operationsPerMonth),
      requestsPerSecond: or(ephemeral?.requests_per_second, tier.ephemeral.requestsPerSecond),
    },
    requestsPerMinute: or(override.requests_per_minute, tier.requestsPerMinute),
    logRetentionDays: override.log_retention_days ?? tier.logRetentionDays,
    features: features ?? tier.features,
  };
}

/** One retention of the request log for all plans. */
export function withLogRetention(tiers: PlanTiers, logRetentionDays: number): PlanTiers {
  const entries = PLANS.map((plan) => [plan, { ...tiers[plan], logRetentionDays }]);
  return Object.fromEntries(entries) as Record<Plan, PlanTier>;
}

/** `null` is a value here: no limit. */
function or<T>(value: T | undefined, fallback: T): T {
  return value === undefined ? fallback : value;
}

function given<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
