import { isUuid } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Authorities } from '../authorities/index.js';
import { CLIENT_ROOT_NAME } from '../client-ca/index.js';
import { CsrRefused, pem } from '../x509/index.js';
import type { AcmeRole, PkiIssuing } from './acme-issuing.js';
import { certificateEntry, revokeEntry } from './audit.js';
import { certifiedOf, leafTerms, lifeMsOf, requireUnchanged } from './certificates.js';
import { certifiedNames } from './certified-names.js';
import { refusedName } from './names.js';
import { openRequest } from './requests.js';
import type { RoleStore } from './store.js';
import { withInherited } from './subject.js';

export interface AcmeIssuingDeps {
  readonly db: Database;
  readonly authorities: Authorities;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly store: RoleStore;
}

export function createAcmeIssuing({ db, authorities, auditLogs, store }: AcmeIssuingDeps): PkiIssuing {
  /** A request whose names are those that were proven, and that the role still allows. */
  async function openProven({ role }: AcmeRole, csr: Buffer, dns: readonly string[]) {
    const request = await openRequest(csr);
    if (request.names.ips.length > 0) throw new CsrRefused('it asks for IP addresses');
    // A CN that is an address is no name that could be proven here.
    const { names, faults } = certifiedNames({ ...role, allowIpSans: false }, request.names);
    const [fault] = faults;
    if (fault) throw new CsrRefused(fault.rule);
    const [asked, proven] = [names.dns, dns].map((list) => [...new Set(list)].sort().join(' '));
    if (asked !== proven) throw new CsrRefused('its names are not those of the order');
    return { names, publicKey: request.publicKey };
  }

  return {
    async findAcmeRole(tenantId, rootId, roleId) {
      if (!isUuid(roleId)) return undefined;
      const found = await authorities.findPublic(tenantId, rootId);
      if (!found || found.root.name === CLIENT_ROOT_NAME) return undefined;
      const role = await store.find(found.scope, found.root.id, roleId);
      return role?.allowAcme ? { ...found, role } : undefined;
    },

    refusedName,

    async prepareForAcme(actor, target, csr, dns, acmeAccountId) {
      const { scope, root, role } = target;
      const { names, publicKey } = await openProven(target, csr, dns);
      // Nobody has proven more of the subject than its names; what the root says of the organisation is the tenant's own.
      const name = names.cn === undefined ? [] : [['CN', names.cn] as const];
      const prepared = await authorities.prepareCertificate(scope, root.id, {
        ...leafTerms(target, names, lifeMsOf(role, undefined)),
        subject: withInherited(name, root.subject),
        publicKey,
        acmeAccountId,
      });
      const { serial, der } = prepared;
      return {
        serial,
        der,
        chainPem: pem('CERTIFICATE', der) + certifiedOf(prepared).chainPem,
        async record(tx) {
          await requireUnchanged(store, target, tx);
          await prepared.record(tx);
          const more = { acme_account_id: acmeAccountId };
          await auditLogs.record(tx, actor, certificateEntry('pki.sign', target, prepared, names, more));
        },
      };
    },

    revokeForAcme(actor, { scope, root }, serial, reason) {
      return db.transaction(async (tx) => {
        const change = { rootId: root.id, serials: [serial], reason };
        const { known, revoked } = await authorities.revoke(tx, scope, change);
        if (known === 0) return 'unknown';
        if (revoked === 0) return 'already';
        await auditLogs.record(tx, actor, revokeEntry(root, serial, { reason }));
        return 'revoked';
      });
    },
  };
}
