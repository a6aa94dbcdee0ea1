import type { Accounts } from '../capabilities/accounts/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import type { ClientCa } from '../capabilities/client-ca/index.js';
import { createClients, createSigningSecretUser } from '../capabilities/clients/index.js';
import type { EgressAllowlist } from '../capabilities/egress-allowlist/index.js';
import { createEnvironments } from '../capabilities/environments/index.js';
import type { TenantKeys } from '../capabilities/kms/index.js';
import type { Plans } from '../capabilities/plans/index.js';
import {
  createInterceptedRoutes,
  createRouteEnvironments,
  createRouteNames,
  createRouteSecretUser,
} from '../capabilities/routes/index.js';
import {
  createCallbackPage,
  createOAuth2Secrets,
  createSecretEnvironments,
  createSecretNames,
  createSecretOfType,
  createSecrets,
} from '../capabilities/secrets/index.js';
import { plainOrigin } from '../capabilities/signup/index.js';
import { createInterceptManifest, createWrap, createWrapSecretUser } from '../capabilities/wrap/index.js';
import { LIMITS } from '../kernel/limits.js';
import type { Generations } from '../platform/cache/generations.js';
import { cacheCounts } from '../platform/cache/lru.js';
import { createCertificateFiles } from '../platform/crypto/certificate-files.js';
import type { ServicesDeps } from './services-deps.js';

interface SecretServicesDeps extends Omit<ServicesDeps, 'kms'> {
  readonly kms: TenantKeys;
  readonly auditLogs: AuditLogs;
  readonly plans: Plans;
  readonly clientCa: ClientCa;
  readonly accounts: Accounts;
  readonly egressAllowlist: EgressAllowlist;
  readonly generations: Generations;
}

/** Environments, with who refers to them by name, secrets, and clients, which sign with one. */
export function createSecretServices(deps: SecretServicesDeps) {
  const { db, clock } = deps;
  const clients = createClients({
    ...deps,
    routeNames: createRouteNames(db),
    isSigningSecret: createSecretOfType(db, 'string'),
    cacheCounts: cacheCounts(deps.instruments, 'clients'),
  });
  const holders = [
    createSecretEnvironments(db, deps.generations),
    clients.assignments.environmentHolder,
    createRouteEnvironments(deps),
  ];
  const environments = createEnvironments({ ...deps, holders });
  const certificateFiles = createCertificateFiles({ clock, certificatesMax: LIMITS.certificatesOfFileMax });
  const oauth2Secrets = createOAuth2Secrets({
    ...deps,
    tenantKeys: deps.kms,
    origin: () => plainOrigin(deps.origins),
    nameOf: createSecretNames(db),
  });
  const secrets = createSecrets({
    ...deps,
    tenantKeys: deps.kms,
    environments,
    certificateFiles,
    oauth2: oauth2Secrets,
    users: [createRouteSecretUser(db), createSigningSecretUser(db), createWrapSecretUser(deps)],
  });
  const wrap = createWrap({
    ...deps,
    secrets,
    origin: () => plainOrigin(deps.origins),
    cacheCounts: cacheCounts(deps.instruments, 'wrap_tokens'),
  });
  return {
    clients,
    environments,
    secrets,
    wrap,
    interceptManifest: createInterceptManifest({ environments, intercepted: createInterceptedRoutes(db) }),
    oauth2Secrets,
    oauth2Callback: createCallbackPage(oauth2Secrets),
  };
}
