import type { Selectable } from 'kysely';
import { assert } from '../../../kernel/assert.js';
import type { Scope, TenantId } from '../../../kernel/ids.js';
import { type Database, type Transaction, UniqueViolation } from '../../../platform/storage/database.js';
import { sameNetwork, sameThumbprint } from '../errors.js';
import { readNetwork } from '../network.js';
import { type ClientCredentialRow, clientTables } from '../tables.js';

/** What a call has to show to be taken for the client. */
export type Evidence =
  | { readonly kind: 'ip'; readonly value: string }
  | { readonly kind: 'mtls_thumbprint'; readonly sha256Thumbprint: string; readonly issued: Issued | null };

/** What is known of a certificate that was made here. */
export interface Issued {
  readonly subject: string;
  readonly serial: string;
}

export interface Credential {
  readonly id: string;
  readonly scope: Scope;
  readonly clientId: string;
  readonly evidence: Evidence;
  readonly label: string | null;
  /** Stands for the client's own `ip_address`. */
  readonly isOwn: boolean;
  readonly enabled: boolean;
  readonly expiresAtMs: number | null;
  readonly lastMatchedAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type CredentialStore = ReturnType<typeof createCredentialStore>;

export function createCredentialStore(db: Database) {
  const view = db.view(clientTables);

  async function refusingTwins<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (!(error instanceof UniqueViolation)) throw error;
      throw error.columns.includes('thumbprint') ? sameThumbprint() : sameNetwork();
    }
  }

  return {
    async insert(tx: Transaction, credential: Credential): Promise<void> {
      const insertion = view
        .scoped(credential.scope, tx)
        .insertInto('client_credentials')
        .values({
          id: credential.id,
          client_id: credential.clientId,
          kind: credential.evidence.kind,
          is_own: Number(credential.isOwn),
          expires_at: credential.expiresAtMs,
          created_at: credential.createdAtMs,
          ...columnsOf(credential),
        });
      await refusingTwins(insertion.execute());
    },

    /** The oldest first. */
    async list(scope: Scope, clientId: string, tx?: Transaction): Promise<Credential[]> {
      const rows = await view
        .scoped(scope, tx)
        .selectFrom('client_credentials')
        .selectAll()
        .where('client_id', '=', clientId)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(credentialOf);
    },

    async find(tx: Transaction, scope: Scope, clientId: string, id: string): Promise<Credential | undefined> {
      const row = await view
        .scoped(scope, tx)
        .selectFrom('client_credentials')
        .selectAll()
        .where('client_id', '=', clientId)
        .where('id', '=', id)
        .executeTakeFirst();
      return row && credentialOf(row);
    },

    async update(tx: Transaction, credential: Credential): Promise<void> {
      const update = view
        .scoped(credential.scope, tx)
        .updateTable('client_credentials')
        .set(columnsOf(credential))
        .where('id', '=', credential.id);
      await refusingTwins(update.execute());
    },

    async delete(tx: Transaction, scope: Scope, id: string): Promise<void> {
      await view.scoped(scope, tx).deleteFrom('client_credentials').where('id', '=', id).execute();
    },

    async setLastUsed(tx: Transaction, scope: Scope, id: string, atMs: number): Promise<void> {
      await view
        .scoped(scope, tx)
        .updateTable('client_credentials')
        .set({ last_matched_at: atMs })
        .where('id', '=', id)
        .where((where) =>
          where.or([where('last_matched_at', 'is', null), where('last_matched_at', '<', atMs)]),
        )
        .execute();
    },
  };
}

function columnsOf({ evidence, label, enabled, lastMatchedAtMs, updatedAtMs }: Credential) {
  const issued = evidence.kind === 'mtls_thumbprint' ? evidence.issued : null;
  return {
    label,
    enabled: Number(enabled),
    value: evidence.kind === 'ip' ? evidence.value : null,
    network: evidence.kind === 'ip' ? networkKey(evidence.value) : null,
    thumbprint: evidence.kind === 'mtls_thumbprint' ? evidence.sha256Thumbprint : null,
    subject: issued?.subject ?? null,
    serial: issued?.serial ?? null,
    last_matched_at: lastMatchedAtMs,
    updated_at: updatedAtMs,
  };
}

function networkKey(value: string): string {
  const reading = readNetwork(value);
  assert('network' in reading, 'a network is read before it is stored');
  return reading.network.key;
}

function credentialOf(row: Selectable<ClientCredentialRow>): Credential {
  return {
    id: row.id,
    scope: { tenantId: row.tenant_id as TenantId, sandbox: row.sandbox === 1 },
    clientId: row.client_id,
    evidence: evidenceOf(row),
    label: row.label,
    isOwn: row.is_own === 1,
    enabled: row.enabled === 1,
    expiresAtMs: row.expires_at,
    lastMatchedAtMs: row.last_matched_at,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

function evidenceOf(row: Selectable<ClientCredentialRow>): Evidence {
  if (row.value !== null) return { kind: 'ip', value: row.value };
  const { thumbprint, subject, serial } = row;
  assert(thumbprint !== null, 'a stored credential has evidence');
  const issued = subject !== null && serial !== null ? { subject, serial } : null;
  return { kind: 'mtls_thumbprint', sha256Thumbprint: thumbprint, issued };
}
