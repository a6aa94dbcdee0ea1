import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { Clients } from '../capabilities/clients/index.js';
import { createEnvironments } from '../capabilities/environments/index.js';
import type { TenantKeys } from '../capabilities/kms/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import { createSecretEnvironments, createSecrets } from '../capabilities/secrets/index.js';
import { LIMITS } from '../kernel/limits.js';
import { createCertificateFiles } from '../platform/crypto/certificate-files.js';
import type { ServicesDeps } from './services-deps.js';

interface SecretServicesDeps extends Omit<ServicesDeps, 'kms'> {
  readonly kms: TenantKeys;
  readonly auditLogs: AuditLogs;
  readonly plans: Plans;
  readonly clients: Clients;
}

/** Environments, with who refers to them by name, and secrets. */
export function createSecretServices(deps: SecretServicesDeps) {
  const { db, clock, clients } = deps;
  const holders = [createSecretEnvironments(db), clients.assignments.environmentHolder];
  const environments = createEnvironments({ ...deps, holders });
  const certificateFiles = createCertificateFiles({ clock, certificatesMax: LIMITS.certificatesOfFileMax });
  const secrets = createSecrets({
    ...deps,
    tenantKeys: deps.kms,
    environments,
    certificateFiles,
    // None can be made in this version.
    oauth2: { render: () => Promise.reject(new Error('no secret is of the type oauth2')) },
    users: [],
  });
  return { environments, secrets };
}
