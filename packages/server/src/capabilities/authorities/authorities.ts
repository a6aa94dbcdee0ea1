import type { Scope, TenantId } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { PageOptions } from '../../platform/http/pagination.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { CrlReason, DistinguishedName, KeyAlgorithm, KeyPurpose } from '../x509/index.js';

export type AuthorityKind = 'root' | 'issuing';
/** `retired`: it signs nothing new, and goes on saying what it has revoked. */
export type AuthorityStatus = 'active' | 'retired' | 'revoked';

export interface Authority {
  readonly id: string;
  readonly kind: AuthorityKind;
  /** Of a root its own id. */
  readonly rootId: string;
  /** That of its root: one active root of a tenant and mode has it. */
  readonly name: string;
  /** Its subject key identifier, in hex: stands in the address of its list. */
  readonly keyId: string;
  readonly keyAlgorithm: KeyAlgorithm;
  /** Lower-case hex. */
  readonly serial: string;
  readonly subject: DistinguishedName;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  readonly keyEnvelope: Buffer;
  readonly certificate: Buffer;
  readonly status: AuthorityStatus;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly createdAtMs: number;
  /** Of a root: how its issuing authorities live. */
  readonly issuingLives: IssuingLives | null;
  /** Of an issuing one: after which another takes its place; null where it ends with its root. */
  readonly renewAtMs: number | null;
  /** Of a root that took the place of another of its name in time: that one. */
  readonly formerRootId: string | null;
  /** How many of its certificates have been revoked, ever. */
  readonly revocations: number;
  readonly list: ListState;
}

/** What is known of a stored list without its bytes. */
export interface ListState {
  readonly number: number;
  readonly revocations: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

export interface IssuingLives {
  readonly issuingMs: number;
  /** A new one is made once the active has less than that. */
  readonly issuingLeftMinMs: number;
}

export interface AuthorityLives extends IssuingLives {
  readonly rootMs: number;
}

export interface NewRoot {
  readonly name: string;
  readonly subject: DistinguishedName;
  readonly keyAlgorithm: KeyAlgorithm;
  readonly lives: AuthorityLives;
  /** The root of that name whose place it takes: it is retired in the same transaction. */
  readonly replaces?: Authority;
}

export interface PreparedRoot {
  readonly root: Authority;
  readonly issuing: Authority;
  /** Throws `UniqueViolation` where an active root has the name. */
  record(tx: Transaction): Promise<void>;
}

export interface LeafTerms {
  /** May be empty where there are other names. */
  readonly subject: DistinguishedName;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  readonly purposes: readonly KeyPurpose[];
  /** In A-labels; may begin with `*.`. */
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly uris: readonly string[];
  /** Cut to the end of what signs it. */
  readonly lifeMs: number;
  readonly clientId?: string;
  readonly role?: CertificateRole;
  readonly acmeAccountId?: string;
}

export interface CertificateRole {
  readonly id: string;
  readonly name: string;
}

export interface PreparedCertificate {
  /** Lower-case hex. */
  readonly serial: string;
  /** RFC 4514: `CN=build server`. */
  readonly subject: string;
  /** 64 lower-case hex digits: SHA-256 of the DER. */
  readonly sha256Thumbprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly der: Buffer;
  readonly issuing: Authority;
  readonly root: Authority;
  /** Makes the serial known. 409 `conflict` where the root was retired meanwhile. */
  record(tx: Transaction): Promise<void>;
}

export interface IssuedCertificate {
  readonly serial: string;
  readonly rootId: string;
  readonly authorityId: string;
  /** RFC 4514. */
  readonly subject: string;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly role: CertificateRole | null;
  readonly clientId: string | null;
  readonly acmeAccountId: string | null;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
  readonly reason: CrlReason | null;
  /** As it was given, where it is none of those of RFC 5280. */
  readonly reasonText: string | null;
  /** Empty in lists, and where it was issued before it was kept. */
  readonly der: Buffer;
}

/** `expired`: and not revoked before. */
export type CertificateState = 'active' | 'revoked' | 'expired';

export interface CertificateQuery extends PageOptions {
  readonly status?: CertificateState;
}

export interface Revocation {
  /** Only what that root's authorities have issued. */
  readonly rootId?: string;
  readonly serials: readonly string[];
  readonly reason: CrlReason;
  readonly reasonText?: string;
}

/** What ends in a while, of whatever tenant: an active root, or a certificate that is not revoked. */
export interface Ending {
  readonly scope: Scope;
  /** Of a root its id, of a certificate its serial. */
  readonly id: string;
  readonly rootId: string;
  readonly rootName: string;
  readonly subject: string;
  readonly role: CertificateRole | null;
  readonly clientId: string | null;
  readonly acmeAccountId: string | null;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface EndingQuery {
  readonly of: 'roots' | 'certificates';
  /** Ends after the one and no later than the other. */
  readonly afterMs: number;
  readonly untilMs: number;
  /** Where to go on: the last one of the answer before. */
  readonly behind?: Pick<Ending, 'notAfterMs' | 'id'>;
  readonly rowsMax: number;
}

export interface OcspReply {
  readonly der: Buffer;
  /** The same answer is good for whoever asks the same. */
  readonly isCacheable: boolean;
}

/**
 * The certificate authorities of tenants: roots, what they let issue, certificates and their revocation (clients-pki.md §3). Whoever
 * uses it says what may be issued, and audits it.
 */
export interface Authorities {
  /**
   * A root with its first issuing authority, whose keys are made and sealed here: never inside a transaction. Nothing is stored
   * before `record`. 503 `tenant_sealed`.
   */
  prepareRoot(scope: Scope, terms: NewRoot): Promise<PreparedRoot>;
  /** The newest first, of every name, retired ones too. */
  listRoots(scope: Scope, tx?: Transaction): Promise<Authority[]>;
  /** The active one of a name, or the newest of it; or of that id. */
  findRoot(scope: Scope, nameOrId: string, tx?: Transaction): Promise<Authority | undefined>;
  /** By what stands in an address, which names no mode: ids are the same in none. */
  findPublic(
    tenantId: TenantId,
    rootId: string,
  ): Promise<{ readonly scope: Scope; readonly root: Authority } | undefined>;
  /**
   * Puts a new issuing authority in the place of the active one; audited `pki.intermediate.rotate`. Never inside a transaction. 404;
   * 409 `conflict` where the root is retired, has ended or has too many; 503 `tenant_sealed`. `alongside` runs in its transaction.
   */
  rotateIssuing(
    actor: Actor,
    scope: Scope,
    rootId: string,
    alongside?: (tx: Transaction, issuing: Authority) => Promise<void>,
  ): Promise<Authority>;
  /** It signs nothing new; lists and OCSP go on. Nothing for one that is retired. */
  retire(tx: Transaction, scope: Scope, rootId: string): Promise<void>;
  /**
   * Makes a certificate, and a new issuing authority first where one is due. Never inside a transaction. 404; 409 `conflict` where
   * the root is retired or has ended; 503 `tenant_sealed`.
   */
  prepareCertificate(scope: Scope, rootId: string, terms: LeafTerms): Promise<PreparedCertificate>;
  /** In the transaction of the change. `known`: how many there are; `revoked`: how many of them were not yet. */
  revoke(
    tx: Transaction,
    scope: Scope,
    revocation: Revocation,
  ): Promise<{ readonly known: number; readonly revoked: number }>;
  findCertificate(
    scope: Scope,
    rootId: string,
    serial: string,
    tx?: Transaction,
  ): Promise<IssuedCertificate | undefined>;
  /** The newest first. */
  listCertificates(
    scope: Scope,
    rootId: string,
    query: CertificateQuery,
  ): Promise<{ readonly rows: IssuedCertificate[]; readonly total: number }>;
  /** In the order of their ends. */
  listEnding(query: EndingQuery): Promise<Ending[]>;
  /** That root, then those before it that have not ended, in PEM. 404 where there is none. */
  rootsPem(scope: Scope, nameOrId: string): Promise<string>;
  /**
   * Of the active issuing authority first, of every other that has not ended, and of the roots (clients-pki.md §3.4), in PEM. 404;
   * 503 `tenant_sealed` where a list is owed that cannot be signed.
   */
  listsPem(scope: Scope, nameOrId: string): Promise<string>;
  /** One of them in DER, for whoever knows its address. 404 and 503 alike. */
  list(tenantId: TenantId, rootId: string, keyId: string): Promise<Buffer>;
  /** Refusals are answers too (RFC 6960 §2.3), so that it never throws one. */
  ocsp(tenantId: TenantId, rootId: string, keyId: string, request: Buffer): Promise<OcspReply>;
  /**
   * Whoever reads lists or asks by OCSP has no credential, and is counted by network: null where it is let in, else how long it has to
   * wait. In this process.
   */
  admitReader(ip: string | null): number | null;
  /** What one is told that is not let in. */
  ocspTryLater(): Promise<OcspReply>;
  /** Renews issuing authorities and lists before they end, those behind `afterId`; answers where to go on, null at the end. */
  upkeep(
    afterId: string,
    rowsMax: number,
  ): Promise<{ readonly rows: number; readonly nextId: string | null }>;
  /** Forgets what ended long ago; answers how many. */
  removeEnded(rowsMax: number): Promise<number>;
  /** Zeroes every opened key. */
  close(): void;
}
