import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import type { CrlReason, KeyAlgorithm } from '../x509/index.js';
import type { AuthorityKind, AuthorityStatus } from './authorities.js';
import { clientCaMigration } from './migrations/0035-client-ca.js';
import { authoritiesMigration } from './migrations/0046-authorities.js';

export interface AuthorityRow extends TenantModeColumns {
  id: string;
  kind: AuthorityKind;
  /** Of a root its own id. */
  root_id: string;
  /** That of its root. One active root has it. */
  name: string;
  /** Its subject key identifier, in hex. */
  key_id: string;
  key_algorithm: KeyAlgorithm;
  /** In hex. */
  serial: string;
  /** JSON text: pairs of attribute and value. */
  subject: string;
  /** SubjectPublicKeyInfo. */
  public_key: Buffer;
  /** PKCS #8. */
  key_envelope: Buffer;
  certificate: Buffer;
  /** `active`: what is new is signed by it; one issuing authority of a root. */
  status: AuthorityStatus;
  not_before: number;
  not_after: number;
  created_at: number;
  /** Of a root: how long its issuing authorities live, and what the active one has left at least. */
  issuing_life: number | null;
  issuing_left_min: number | null;
  /** Of an issuing one; null where it ends with its root. */
  renew_at: number | null;
  former_root_id: string | null;
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

export interface AuthorityCertificateRow extends TenantModeColumns {
  serial: string;
  root_id: string;
  authority_id: string;
  /** RFC 4514; empty of those that were issued before it was kept. */
  subject: string;
  /** JSON texts: arrays. */
  dns: string;
  ips: string;
  role_id: string | null;
  role_name: string | null;
  client_id: string | null;
  acme_account_id: string | null;
  /** Null of those that were issued before it was kept. */
  der: Buffer | null;
  not_before: number;
  not_after: number;
  created_at: number;
  revoked_at: number | null;
  revocation_reason: CrlReason | null;
  /** What was said in place of a reason that lists know. */
  revocation_text: string | null;
}

export interface AuthorityTables {
  authorities: AuthorityRow;
  authority_certificates: AuthorityCertificateRow;
}

export const authorityTables: TableSet<AuthorityTables> = {
  authorities: { scope: 'tenant+mode' },
  authority_certificates: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [clientCaMigration, authoritiesMigration];
