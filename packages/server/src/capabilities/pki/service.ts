import type { Clock } from '../../kernel/clock.js';
import type { IdSource } from '../../kernel/ids.js';
import type { Outbox } from '../../platform/outbox/outbox.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Authorities } from '../authorities/index.js';
import type { PkiIssuing } from './acme-issuing.js';
import { createAcmeIssuing } from './acme-service.js';
import { type Certificates, createCertificates } from './certificates.js';
import { createExpiryNotices, type ExpiryNotices } from './notices/service.js';
import { createRoles, type Roles } from './roles-service.js';
import { createRootAccess } from './root-access.js';
import { createRoots, type Roots } from './roots-service.js';
import { createRoleStore } from './store.js';

/** A tenant's own certificate authorities (clients-pki.md §3). */
export interface Pki {
  readonly roots: Roots;
  readonly roles: Roles;
  readonly certificates: Certificates;
  readonly issuing: PkiIssuing;
  readonly notices: ExpiryNotices;
}

export interface PkiDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly authorities: Authorities;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly outbox: Pick<Outbox, 'publish'>;
}

export function createPki(deps: PkiDeps): Pki {
  const parts = {
    ...deps,
    access: createRootAccess(deps.authorities),
    store: createRoleStore(deps.db),
  };
  return {
    roots: createRoots(parts),
    roles: createRoles(parts),
    certificates: createCertificates(parts),
    issuing: createAcmeIssuing(parts),
    notices: createExpiryNotices(deps),
  };
}
