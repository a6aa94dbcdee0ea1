import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { CrlReason } from '../x509/index.js';
import { clientCaMigration } from './migrations/0035-client-ca.js';

export type AuthorityKind = 'root' | 'issuing';

export interface ClientAuthorityRow extends TenantModeColumns {
  id: string;
  kind: AuthorityKind;
  /** Of a root its own id. */
  root_id: string;
  /** Its subject key identifier, in hex. */
  key_id: string;
  /** In hex. */
  serial: string;
  /** JSON text: pairs of attribute and value. */
  subject: string;
  /** SubjectPublicKeyInfo. */
  public_key: Buffer;
  /** PKCS #8. */
  key_envelope: Buffer;
  certificate: Buffer;
  /** 1: what is new is signed by it; one of each kind. */
  is_active: number;
  not_before: number;
  not_after: number;
  created_at: number;
  /** How many of its certificates have been revoked, ever. */
  revocations: number;
  /** The last list in DER. */
  list: Buffer;
  list_number: number;
  /** How many revocations it was made of: less than there are = a new one is owed. */
  list_revocations: number;
  list_this_update: number;
  list_next_update: number;
}

export interface ClientCertificateRow extends TenantModeColumns {
  serial: string;
  authority_id: string;
  client_id: string;
  not_after: number;
  created_at: number;
  revoked_at: number | null;
  revocation_reason: CrlReason | null;
}

export interface ClientCaTables {
  client_authorities: ClientAuthorityRow;
  client_certificates: ClientCertificateRow;
}

export const clientCaTables: TableSet<ClientCaTables> = {
  client_authorities: { scope: 'tenant+mode' },
  client_certificates: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [clientCaMigration];
