import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { Clients } from '../capabilities/clients/index.js';
import { createEnvironments } from '../capabilities/environments/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import type { ServicesDeps } from './services-deps.js';

interface SecretServicesDeps extends Omit<ServicesDeps, 'kms'> {
  readonly auditLogs: AuditLogs;
  readonly plans: Plans;
  readonly clients: Clients;
}

/** Environments, with who refers to them by name, and secrets. */
export function createSecretServices(deps: SecretServicesDeps) {
  const environments = createEnvironments({ ...deps, holders: [deps.clients.assignments.environmentHolder] });
  return { environments };
}
