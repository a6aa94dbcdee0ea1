import type { Scope } from '../../kernel/ids.js';
import type { Secret } from '../../kernel/secret.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { CrlReason } from '../x509/index.js';

/** The certificate authority behind client credentials: one chain for each tenant and mode (clients-pki.md §2.4). */
export interface ClientCa {
  /**
   * Makes key and certificate, and the chain where there is none yet. May call a KMS, so never inside a transaction. Nothing of the
   * certificate is stored before `record`. 503 `tenant_sealed` while the tenant's key cannot be had.
   */
  prepare(scope: Scope, client: CertifiedClient): Promise<PreparedCertificate>;
  /** In the transaction of the change. Serials that were never issued are ignored; answers how many are newly revoked. */
  revoke(
    tx: Transaction,
    scope: Scope,
    serials: readonly string[],
    reason: RevocationReason,
  ): Promise<number>;
}

export interface CertifiedClient {
  readonly id: string;
  readonly name: string;
}

/** Those of RFC 5280 §5.3.1 that a client's certificate can have. */
export type RevocationReason = CrlReason;

export interface PreparedCertificate {
  /** Lower-case hex. */
  readonly serial: string;
  /** RFC 4514: `CN=build server`. */
  readonly subject: string;
  /** 64 lower-case hex digits: SHA-256 of the DER. */
  readonly sha256Thumbprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly certificatePem: string;
  /** The issuing certificate, then its root. */
  readonly caChainPem: string;
  /** PKCS#8. Held nowhere else. */
  readonly privateKeyPem: Secret<string>;
  /** Makes the serial known, in the transaction of the credential. */
  record(tx: Transaction): Promise<void>;
}
