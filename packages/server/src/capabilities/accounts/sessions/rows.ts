import { assert } from '../../../kernel/assert.js';
import type { SessionId, TenantId, UserId } from '../../../kernel/ids.js';
import { USER_ROLES, type UserRole } from '../../../kernel/principal.js';
import { SUBSCRIPTION_STATUSES, type SubscriptionStatus } from '../types.js';

/** A tenant that a user belongs to, and what the user is there. */
export interface Membership {
  readonly tenantId: TenantId;
  readonly slug: string;
  readonly name: string;
  readonly subscriptionStatus: SubscriptionStatus;
  readonly role: UserRole;
}

export interface User {
  readonly id: UserId;
  readonly email: string;
  readonly createdAtMs: number;
}

export interface Credentials {
  readonly user: User;
  readonly passwordHash: string;
}

export interface UserWithPassword extends Credentials {
  readonly memberships: readonly Membership[];
}

export interface Session {
  readonly id: SessionId;
  readonly userId: UserId;
  readonly amr: readonly string[];
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  readonly idleExpiresAtMs: number;
  readonly expiresAtMs: number;
}

export interface MembershipRow {
  readonly tenant_id: TenantId | null;
  readonly role: string | null;
  readonly slug: string | null;
  readonly name: string | null;
  readonly subscription_status: string | null;
}

interface PersonRow {
  readonly id: UserId;
  readonly email: string;
  readonly created_at: number;
}

export interface CredentialsRow extends PersonRow {
  readonly password_hash: string;
}

export interface UserRow extends PersonRow, MembershipRow {}

export function withPassword(
  rows: readonly (UserRow & { readonly password_hash: string })[],
): UserWithPassword | undefined {
  const [row] = rows;
  return row && { user: userOf(row), passwordHash: row.password_hash, memberships: membershipsOf(rows) };
}

export function userOf({ id, email, created_at }: PersonRow): User {
  return { id, email, createdAtMs: created_at };
}

/** Of a user without a tenant there is one row, with nothing in these columns. */
export function membershipsOf(rows: readonly MembershipRow[]): Membership[] {
  return rows.flatMap(({ tenant_id: tenantId, slug, name, ...row }) => {
    if (tenantId === null || slug === null || name === null) return [];
    const role = USER_ROLES.find((known) => known === row.role);
    const subscriptionStatus = SUBSCRIPTION_STATUSES.find((known) => known === row.subscription_status);
    assert(role && subscriptionStatus, 'a stored membership has an unknown role or status');
    return [{ tenantId, slug, name, role, subscriptionStatus }];
  });
}

export function sessionOf(row: {
  readonly id: SessionId;
  readonly user_id: UserId;
  readonly amr: string;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly idle_expires_at: number;
  readonly expires_at: number;
}): Session {
  return {
    id: row.id,
    userId: row.user_id,
    amr: JSON.parse(row.amr) as string[],
    ip: row.ip_address,
    userAgent: row.user_agent,
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at,
    idleExpiresAtMs: row.idle_expires_at,
    expiresAtMs: row.expires_at,
  };
}
