import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { Authority } from '../authorities/index.js';
import type { CrlReason } from '../x509/index.js';
import type { CaRole } from './roles.js';

/** A role that ACME clients may use, by what stands in the address of its directory. */
export interface AcmeRole {
  readonly scope: Scope;
  readonly root: Authority;
  readonly role: CaRole;
}

export interface AcmeCertificate {
  /** Lower-case hex. */
  readonly serial: string;
  readonly der: Buffer;
  /** The certificate, then what signed it (RFC 8555 §7.4.2). */
  readonly chainPem: string;
  /** Makes it known and writes its audit row `pki.sign`, in the transaction of the order. 409 where the root was retired meanwhile. */
  record(tx: Transaction): Promise<void>;
}

/** What ACME has certified, once the names were proven (clients-pki.md §3.6). */
export interface PkiIssuing {
  /** Undefined too where `allow_acme` is off. Of a retired root as well: what was issued can still be revoked. */
  findAcmeRole(tenantId: TenantId, rootId: string, roleId: string): Promise<AcmeRole | undefined>;
  /** Why the role may not certify that name, or null; a wildcard with its `*.`. */
  refusedName(role: CaRole, dnsName: string): string | null;
  /**
   * For exactly these names, which must be those of the request: 400 else. Makes no key; may call a KMS, so never inside a transaction.
   * Nothing is stored before `record`. Throws `CsrRefused`; 409 `conflict`; 503 `tenant_sealed`.
   */
  prepareForAcme(
    actor: Actor,
    target: AcmeRole,
    csr: Buffer,
    dns: readonly string[],
    acmeAccountId: string,
  ): Promise<AcmeCertificate>;
  /** Audited `pki.revoke`. `unknown`: no such certificate; `already`: it was revoked before. */
  revokeForAcme(
    actor: Actor,
    target: Pick<AcmeRole, 'scope' | 'root'>,
    serial: string,
    reason: CrlReason,
  ): Promise<'revoked' | 'already' | 'unknown'>;
}
