import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { clientsMigration } from './migrations/0036-clients.js';
import { clientSigningSecretMigration } from './migrations/0063-client-signing-secret.js';

export const CLIENT_TYPES = ['user', 'server'] as const;
export type ClientType = (typeof CLIENT_TYPES)[number];

/** Those that this version makes (clients-pki.md §2.1). */
export const CREDENTIAL_KINDS = ['ip', 'mtls_thumbprint'] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

export interface ClientRow extends TenantModeColumns {
  id: string;
  name: string;
  type: ClientType;
  /** As it was sent; empty = none. */
  ip_address: string;
  /** JSON text, an object. */
  ip_notes: string;
  description: string | null;
  enabled: number;
  collection_id: string | null;
  signing_secret_id: string | null;
  created_by: string | null;
  created_at: number;
  updated_at: number;
}

export interface ClientCredentialRow extends TenantModeColumns {
  id: string;
  client_id: string;
  kind: CredentialKind;
  label: string | null;
  /** 1 of the one that stands for the client's own `ip_address`. */
  is_own: number;
  enabled: number;
  /** Of `ip`: as it was sent. */
  value: string | null;
  /** Of `ip`: `Network.key`. */
  network: string | null;
  /** Of `mtls_thumbprint`: 64 hex digits in lower case. */
  thumbprint: string | null;
  /** Of a certificate that was issued here, as the next one. */
  subject: string | null;
  serial: string | null;
  expires_at: number | null;
  last_matched_at: number | null;
  created_at: number;
  updated_at: number;
}

export interface ClientAssignmentRow extends TenantModeColumns {
  route_id: string;
  environment: string;
  client_id: string;
  created_at: number;
}

export interface ClientTables {
  clients: ClientRow;
  client_credentials: ClientCredentialRow;
  client_assignments: ClientAssignmentRow;
}

export const clientTables: TableSet<ClientTables> = {
  clients: { scope: 'tenant+mode' },
  client_credentials: { scope: 'tenant+mode' },
  client_assignments: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [clientsMigration, clientSigningSecretMigration];
