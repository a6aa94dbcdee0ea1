import { validationErrors } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type {
  Authorities,
  Authority,
  CertificateQuery,
  IssuedCertificate,
  PreparedCertificate,
} from '../authorities/index.js';
import { type CrlReason, pem } from '../x509/index.js';
import { certificateEntry, revokeEntry } from './audit.js';
import { type CertifiedNames, certifiedNames, type NameFault } from './certified-names.js';
import { certificateNotFound, nothingAllowed, roleChanged, roleNotFound, rootRetired } from './errors.js';
import { readRequest } from './requests.js';
import { type CaRole, isSameRole } from './roles.js';
import type { RootAccess } from './root-access.js';
import type { RoleStore } from './store.js';
import { distinguishedName, type SubjectFields, withInherited } from './subject.js';

export interface IssueInput {
  readonly subject: SubjectFields;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly ttlSeconds: number | undefined;
}

export interface SignInput {
  /** In PEM. */
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
}

export interface RevokeInput {
  readonly serial: string;
  readonly reason: CrlReason;
  readonly reasonText?: string;
}

export interface Certified {
  readonly certificate: Pick<PreparedCertificate, 'serial' | 'der' | 'notBeforeMs' | 'notAfterMs'>;
  /** What signed it, in PEM. */
  readonly chainPem: string;
}

export interface Issued extends Certified {
  /** PKCS#8. Held nowhere else. */
  readonly privateKeyPem: Secret<string>;
}

/** Root and role as of `Roots` and `Roles`. A name that the role does not allow is 400. */
export interface Certificates {
  /** Makes the key too. 409 where the root is retired; 503 `tenant_sealed`. */
  issue(caller: Caller, root: string, role: string, input: IssueInput): Promise<Issued>;
  sign(caller: Caller, root: string, role: string, input: SignInput): Promise<Certified>;
  /** The same again of one that is revoked: its date stays. 404 of a serial that the root has not issued. */
  revoke(caller: Caller, root: string, input: RevokeInput): Promise<void>;
  list(caller: Caller, root: string, query: CertificateQuery): Promise<Page<IssuedCertificate>>;
  get(caller: Caller, root: string, serial: string): Promise<IssuedCertificate>;
}

export interface CertificatesDeps {
  readonly db: Database;
  readonly authorities: Authorities;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly access: RootAccess;
  readonly store: RoleStore;
}

interface Target {
  readonly scope: Scope;
  readonly root: Authority;
  readonly role: CaRole;
}

export function createCertificates(deps: CertificatesDeps): Certificates {
  const { db, authorities, auditLogs, access, store } = deps;

  async function targetOf(
    { principal: { scope } }: Caller,
    rootName: string,
    roleName: string,
  ): Promise<Target> {
    const root = await access.own(scope, rootName);
    const role = await store.find(scope, root.id, roleName);
    if (!role) throw roleNotFound();
    if (root.status !== 'active') throw rootRetired(root.name);
    if (role.allowedDomains.length === 0) throw nothingAllowed();
    return { scope, root, role };
  }

  return {
    async issue(caller, rootName, roleName, input) {
      const target = await targetOf(caller, rootName, roleName);
      const { root, role, scope } = target;
      const { subject: fields, dns, ips } = input;
      const { names, faults } = certifiedNames(role, { cn: fields.CN, dns, ips });
      refuse(faults, ({ part, index }) => fieldOfIssue(part, index));
      const subject = distinguishedName(names.cn === undefined ? fields : { ...fields, CN: names.cn });
      const { privateKey, publicKey } = await newKeyPair(role.keyAlgorithm, scope.tenantId);
      try {
        const prepared = await authorities.prepareCertificate(scope, root.id, {
          ...leafTerms(target, names, lifeMsOf(role, input.ttlSeconds)),
          subject: withInherited(subject, root.subject),
          publicKey,
        });
        const privateKeyPem = new Secret(pem('PRIVATE KEY', privateKey));
        const issued: Issued = { ...certifiedOf(prepared), privateKeyPem };
        await db.transaction((tx) => record(tx, caller, 'pki.issue', target, names, prepared, issued));
        return issued;
      } finally {
        privateKey.fill(0);
      }
    },

    async sign(caller, rootName, roleName, { csr, ttlSeconds }) {
      const target = await targetOf(caller, rootName, roleName);
      const { root, role, scope } = target;
      const request = await readRequest(csr);
      const { names, faults } = certifiedNames(role, request.names);
      refuse(faults, () => 'csr_pem');
      const prepared = await authorities.prepareCertificate(scope, root.id, {
        ...leafTerms(target, names, lifeMsOf(role, ttlSeconds)),
        subject: withInherited(request.subjectWith(names.cn), root.subject),
        publicKey: request.publicKey,
      });
      const certified = certifiedOf(prepared);
      await db.transaction((tx) => record(tx, caller, 'pki.sign', target, names, prepared, certified));
      return certified;
    },

    async revoke(caller, rootName, { serial, reason, reasonText }) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const root = await access.own(scope, rootName, tx);
        const given = { reason, ...(reasonText !== undefined && { reasonText }) };
        const change = { rootId: root.id, serials: [serial], ...given };
        const { known, revoked } = await authorities.revoke(tx, scope, change);
        if (known === 0) throw certificateNotFound();
        if (revoked > 0) await auditLogs.record(tx, actorOf(caller), revokeEntry(root, serial, given));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async list({ principal: { scope } }, rootName, query) {
      const root = await access.own(scope, rootName);
      const { rows, total } = await authorities.listCertificates(scope, root.id, query);
      return { rows, total, page: query.page, perPage: query.perPage };
    },

    async get({ principal: { scope } }, rootName, serial) {
      const root = await access.own(scope, rootName);
      const found = await authorities.findCertificate(scope, root.id, serial.replaceAll(':', ''));
      if (!found) throw certificateNotFound();
      return found;
    },
  };

  async function record(
    tx: Transaction,
    caller: Caller,
    action: 'pki.issue' | 'pki.sign',
    target: Target,
    names: CertifiedNames,
    prepared: PreparedCertificate,
    answer: Certified,
  ): Promise<void> {
    await requireUnchanged(store, target, tx);
    await prepared.record(tx);
    await auditLogs.record(tx, actorOf(caller), certificateEntry(action, target, prepared, names));
    await recordAnswer(tx, caller, answer);
  }
}

/** A role that was narrowed meanwhile allows less than what was judged. */
export async function requireUnchanged(
  store: RoleStore,
  { scope, root, role }: Target,
  tx: Transaction,
): Promise<void> {
  const present = await store.find(scope, root.id, role.id, tx);
  if (!present) throw roleNotFound();
  if (!isSameRole(present, role)) throw roleChanged();
}

/** All but name and key. */
export function leafTerms({ role }: Pick<Target, 'role'>, { dns, ips }: CertifiedNames, lifeMs: number) {
  const { id, name } = role;
  return { purposes: ['server', 'client'] as const, dns, ips, uris: [], lifeMs, role: { id, name } };
}

/** What is asked for beyond the maximum is cut (clients-pki.md §3.3). */
export function lifeMsOf(
  { defaultTtlSeconds, maxTtlSeconds }: CaRole,
  ttlSeconds: number | undefined,
): number {
  return Math.min(ttlSeconds ?? defaultTtlSeconds, maxTtlSeconds) * 1_000;
}

export function certifiedOf(certificate: PreparedCertificate): Certified {
  return { certificate, chainPem: pem('CERTIFICATE', certificate.issuing.certificate) };
}

function refuse(faults: readonly NameFault[], fieldOf: (fault: NameFault) => string): void {
  if (faults.length === 0) return;
  const fields = new Map<string, string[]>();
  for (const fault of faults) {
    const field = fieldOf(fault);
    fields.set(field, [...(fields.get(field) ?? []), fault.rule]);
  }
  throw validationErrors(fields);
}

function fieldOfIssue(part: NameFault['part'], index: number | null): string {
  if (part === 'cn') return 'subject.CN';
  const list = part === 'dns' ? 'san_dns' : 'san_ip';
  return index === null ? list : `${list}[${index}]`;
}
