import type { Accounts } from '../capabilities/accounts/index.js';
import { createAcme } from '../capabilities/acme/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import { createAuthorities } from '../capabilities/authorities/index.js';
import { createClientCa } from '../capabilities/client-ca/index.js';
import type { Kms } from '../capabilities/kms/index.js';
import { createPki } from '../capabilities/pki/index.js';
import type { Jobs } from '../platform/jobs/jobs.js';
import type { Outbox } from '../platform/outbox/outbox.js';
import type { ServicesDeps } from './services-deps.js';

interface CertificateServicesDeps extends Omit<ServicesDeps, 'kms'> {
  readonly accounts: Accounts;
  readonly kms: Kms;
  readonly auditLogs: AuditLogs;
  readonly jobs: Jobs;
  readonly outbox: Outbox;
}

/** Certificate authorities, what uses them, and who asks for certificates by ACME. */
export function createCertificateServices(deps: CertificateServicesDeps) {
  const tenantKeys = deps.kms;
  const authorities = createAuthorities({ ...deps, tenantKeys });
  const clientCa = createClientCa({ ...deps, authorities });
  const pki = createPki({ ...deps, authorities });
  const acme = createAcme({
    ...deps,
    tenants: deps.accounts,
    tenantKeys,
    authorities,
    pki,
    validation: deps.acmeValidation,
  });
  return { authorities, clientCa, pki, acme };
}
