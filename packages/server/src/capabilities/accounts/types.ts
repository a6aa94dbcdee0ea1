import type { TenantId } from '../../kernel/ids.js';
import type { Plan } from '../../kernel/plan-tiers.js';
import type { UserRole } from '../../kernel/principal.js';

export const SUBSCRIPTION_STATUSES = ['active', 'trialing', 'past_due', 'paused', 'cancelled'] as const;
export type SubscriptionStatus = (typeof SUBSCRIPTION_STATUSES)[number];

/** Chosen at signup, and not changed afterwards (auth.md §7). */
export const REGIONS = ['us', 'eu', 'au'] as const;
export type Region = (typeof REGIONS)[number];

export interface Tenant {
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly plan: Plan;
  readonly subscriptionStatus: SubscriptionStatus;
  /** Overrides the plan; `null` = by plan. */
  readonly ephemeralEnabled: boolean | null;
  /** `null` = none was asked for. */
  readonly region: Region | null;
  readonly createdAtMs: number;
}

/** A member that is absent stays as it is. */
export interface TenantChange {
  readonly name?: string | undefined;
  readonly slug?: string | undefined;
  readonly ephemeralEnabled?: boolean | null | undefined;
  readonly plan?: Plan | undefined;
  readonly subscriptionStatus?: SubscriptionStatus | undefined;
}

/** `past_due` still serves (auth.md §11). */
export function isSubscriptionActive(status: SubscriptionStatus): boolean {
  return status !== 'paused' && status !== 'cancelled';
}

/** What a user is in one tenant. */
export interface Member {
  readonly email: string;
  readonly role: UserRole;
}

export interface NewTenant {
  /** Chosen before the transaction, because the tenant's master key is wrapped for it outside. */
  readonly id: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly plan: Plan;
  readonly region?: Region | null;
  readonly country?: string | null;
  /** Default `null`: by plan. */
  readonly ephemeralEnabled?: boolean | null;
}

/** An owner whose password is already hashed: hashing takes tens of milliseconds and must not hold a transaction. */
export interface PreparedOwner {
  readonly email: string;
  readonly passwordHash: string;
  readonly fullName?: string | null;
}
