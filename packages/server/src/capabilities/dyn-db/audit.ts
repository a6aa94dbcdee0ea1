import { modeOf, type Scope } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { AuditEntry } from '../audit-logs/index.js';
import type { Connection } from './connections/store.js';
import type { Lease } from './leases/lease.js';
import type { Role } from './roles/store.js';

type Details = Readonly<Record<string, unknown>>;

/** Details never hold a password, a statement or a DSN. */
export function connectionEntry(
  verb: 'create' | 'update' | 'delete' | 'test' | 'rotate_admin_password',
  connection: { readonly id: Connection['id'] | null } & Pick<Connection, 'name' | 'engine'>,
  details: Details = {},
): AuditEntry {
  return {
    action: `dyn_db.connection.${verb}`,
    resourceType: 'dyn_db_connection',
    resourceId: connection.id,
    details: { connection: connection.name, engine: connection.engine, ...details },
  };
}

export function roleEntry(
  verb: 'create' | 'update' | 'delete',
  connection: Pick<Connection, 'name'>,
  role: Pick<Role, 'id' | 'name'>,
  details: Details = {},
): AuditEntry {
  return {
    action: `dyn_db.role.${verb}`,
    resourceType: 'dyn_db_role',
    resourceId: role.id,
    details: { connection: connection.name, role: role.name, ...details },
  };
}

export type LeaseAction =
  | 'dyn_db.credential.mint'
  | 'dyn_db.lease.renew'
  | 'dyn_db.lease.revoke'
  | 'dyn_db.lease.expire'
  | 'dyn_db.lease.revoke_failed'
  | 'dyn_db.lease.errored'
  | 'dyn_db.lease.force_forget';

export function leaseEntry(action: LeaseAction, lease: Lease, details: Details = {}): AuditEntry {
  return {
    action,
    resourceType: 'dyn_db_lease',
    resourceId: String(lease.id),
    details: {
      lease_id: lease.id,
      connection: lease.connectionName,
      role: lease.roleName,
      engine: lease.engine,
      username: lease.username,
      minted_by: lease.actor,
      // A background job's own row says sandbox false, whatever the lease is of (dyn-db.md §7).
      space: modeOf(lease.scope),
      ...details,
    },
  };
}

/** Nobody called: the server itself keeps the time. */
export function backgroundActor({ tenantId }: Scope): Actor {
  return { scope: { tenantId, sandbox: false }, apiKeyId: null, userId: null, requestId: null, ip: null };
}

/** By which its leases are found: the public half of a key, or the id of a user. */
export function actorName({
  keyId,
  userId,
}: {
  readonly keyId: string | null;
  readonly userId: string | null;
}): string {
  return keyId ?? userId ?? 'unknown';
}
