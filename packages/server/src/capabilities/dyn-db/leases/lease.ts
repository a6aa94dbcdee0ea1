import type { DbConnectionId, DbRoleId, Scope } from '../../../kernel/ids.js';
import type { EngineName, RoleStatements } from '../providers/engine.js';
import type { EndCause, LeaseStatus } from '../tables.js';

/** One minted credential, with all that is needed to end it: what becomes of its role later changes nothing. */
export interface Lease {
  readonly id: number;
  readonly scope: Scope;
  readonly connectionId: DbConnectionId;
  readonly connectionName: string;
  readonly roleId: DbRoleId;
  readonly roleName: string;
  readonly engine: EngineName;
  readonly username: string;
  readonly statements: RoleStatements;
  readonly actor: string;
  readonly status: LeaseStatus;
  readonly ttlSeconds: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** No renewal goes beyond it. */
  readonly maxExpiresAtMs: number;
  readonly attempts: number;
  /** Null = it has ended. */
  readonly nextAttemptAtMs: number | null;
  readonly lastError: string | null;
  readonly endCause: EndCause | null;
}

/** What the list shows without being asked: live, and known to somebody. */
export const LISTED = ['active', 'renewing', 'errored'] as const satisfies readonly LeaseStatus[];
export const ENDED = ['expired', 'revoked'] as const satisfies readonly LeaseStatus[];

export function hasEnded({ status }: Pick<Lease, 'status'>): boolean {
  return status === 'expired' || status === 'revoked';
}

/** What a worker that finds the lease due has to do with it. */
export type DueAct = { readonly is: 'drop'; readonly cause: EndCause } | { readonly is: 'restore' };

export function dueActOf(lease: Pick<Lease, 'status' | 'endCause' | 'expiresAtMs'>, nowMs: number): DueAct {
  if (lease.endCause !== null) return { is: 'drop', cause: lease.endCause };
  if (lease.status === 'pending') return { is: 'drop', cause: 'mint_failed' };
  // Whoever renewed it is gone; it lives on as it was.
  if (lease.status === 'renewing' && lease.expiresAtMs > nowMs) return { is: 'restore' };
  return { is: 'drop', cause: 'expired' };
}

export function endStatusOf(cause: EndCause): 'expired' | 'revoked' {
  return cause === 'expired' ? 'expired' : 'revoked';
}
