import { authRoutes, teamRoutes } from '../capabilities/accounts/index.js';
import { acmeClientRoutes, acmeKeyRoutes } from '../capabilities/acme/index.js';
import { apiKeyRoutes } from '../capabilities/api-keys/index.js';
import { apiLogRoutes } from '../capabilities/api-logs/index.js';
import { auditLogRoutes } from '../capabilities/audit-logs/index.js';
import { clientTokenRoutes } from '../capabilities/client-tokens/index.js';
import { clientRoutes } from '../capabilities/clients/index.js';
import { cryptoKeyRoutes, portableRoutes, signingRoutes } from '../capabilities/crypto-keys/index.js';
import { dynDbRoutes } from '../capabilities/dyn-db/index.js';
import { environmentRoutes } from '../capabilities/environments/index.js';
import { revocationRoutes, rewrapRoutes, tenantKmsRoutes } from '../capabilities/kms/index.js';
import { oauthRoutes } from '../capabilities/oauth/index.js';
import { oauthClientRoutes } from '../capabilities/oauth-clients/index.js';
import { oidcBindingRoutes } from '../capabilities/oidc-bindings/index.js';
import { parityRoutes } from '../capabilities/parity/index.js';
import { decisionOfUser, roleRoutes } from '../capabilities/permissions/index.js';
import { pkiRoutes } from '../capabilities/pki/index.js';
import { accountRoutes, tenantSwitchRoutes } from '../capabilities/plans/index.js';
import { redactionRoutes } from '../capabilities/redaction/index.js';
import { routeRoutes } from '../capabilities/routes/index.js';
import { secretRoutes } from '../capabilities/secrets/index.js';
import { signupRoutes } from '../capabilities/signup/index.js';
import { tenantRoutes } from '../capabilities/tenants/index.js';
import { vaultRoutes } from '../capabilities/vaults/index.js';
import { webhookRoutes } from '../capabilities/webhooks/index.js';
import { wrapRoutes } from '../capabilities/wrap/index.js';
import type { RouteDefinition } from '../platform/http/route.js';
import { egressRoutes } from './egress-services.js';
import type { Services } from './services.js';
import { watchRoutes } from './watch.js';

/** Every endpoint of both mounts that has a definition; the proxy is not one of them. */
export function managementRoutes(services: Services): RouteDefinition[] {
  return [
    ...authRoutes({
      auth: services.auth,
      cookies: services.cookies,
      permissionsOf: (role) => decisionOfUser(role).grants.map(({ permission }) => permission),
    }),
    ...signupRoutes(services.signups, services.origins),
    ...accountRoutes(services.plans, services),
    ...tenantKmsRoutes(services.tenantKms, services.clouds),
    ...tenantRoutes(services.tenants),
    ...teamRoutes({ team: services.team, invitations: services.auth.invitations }),
    ...tenantSwitchRoutes(services.tenantSwitch),
    ...apiKeyRoutes(services.apiKeys),
    ...clientRoutes(services.clients),
    ...environmentRoutes(services.environments),
    ...secretRoutes(services.secrets),
    ...routeRoutes(services.namedRoutes),
    ...wrapRoutes(services),
    ...oauthClientRoutes(services.oauthClients),
    ...oauthRoutes(services.oauth),
    ...roleRoutes(services.permissions),
    ...rewrapRoutes(services.rewraps),
    ...revocationRoutes(services.revocations),
    ...auditLogRoutes(services.auditLogs, services.auditChain),
    ...vaultRoutes(services.vaults),
    ...cryptoKeyRoutes({ ...services, records: services.cryptoRecords }),
    ...signingRoutes(services.signatures),
    ...portableRoutes(services.portable),
    ...clientTokenRoutes(services),
    ...redactionRoutes(services.redaction),
    ...egressRoutes(services),
    ...oidcBindingRoutes(services.oidcBindings),
    ...webhookRoutes(services.webhooks),
    ...watchRoutes(services),
    ...dynDbRoutes(services.dynDb),
    ...pkiRoutes(services.pki),
    ...acmeKeyRoutes(services.acme),
    ...acmeClientRoutes(services.acme),
    ...apiLogRoutes(services),
    ...parityRoutes(services.parity),
  ];
}
