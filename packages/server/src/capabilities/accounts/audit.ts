import type { TenantId, UserId } from '../../kernel/ids.js';
import type { Actor, Visitor } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { AuditEntry, AuditLogs } from '../audit-logs/index.js';

/** Why a session ended otherwise than by signing out. */
export type RevokeReason = 'asked' | 'refresh_reuse' | 'sessions_max';

/** Of what a user does with its own account; it shows in each of its tenants. */
export function userActor(tenantId: TenantId, userId: UserId, { requestId, ip }: Visitor): Actor {
  return { scope: { tenantId, sandbox: false }, apiKeyId: null, userId, requestId, ip };
}

export function userEntry(action: string, userId: UserId, details: AuditEntry['details']): AuditEntry {
  return { action, resourceType: 'user', resourceId: userId, details };
}

/** A user, where it belongs, and where the request came from. */
export interface ActingUser {
  readonly tenants: readonly TenantId[];
  readonly userId: UserId;
  readonly visitor: Visitor;
}

export async function recordOfUser(
  tx: Transaction,
  auditLogs: Pick<AuditLogs, 'record'>,
  { tenants, userId, visitor }: ActingUser,
  action: string,
  details: AuditEntry['details'],
): Promise<void> {
  const entry = userEntry(action, userId, details);
  for (const tenantId of tenants) await auditLogs.record(tx, userActor(tenantId, userId, visitor), entry);
}
