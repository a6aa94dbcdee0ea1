import type { FastifyInstance } from 'fastify';
import { INVITATION_PATH } from '../capabilities/accounts/index.js';
import { createHopMarker } from '../capabilities/proxy/index.js';
import { CONFIRM_PATH } from '../capabilities/signup/index.js';
import { type Config, hasPublicName } from '../platform/config/config.js';
import { createCallerSteps } from '../platform/http/caller.js';
import { writeErrorRaw } from '../platform/http/error-handler.js';
import { createHosts } from '../platform/http/hosts.js';
import type { Database } from '../platform/storage/database.js';
import { createExposition } from '../platform/telemetry/exposition.js';
import type { Instruments } from '../platform/telemetry/instruments.js';
import { createAcmeApi } from './apis/acme-api.js';
import { apiDescription } from './apis/api-description.js';
import { createApiDocs } from './apis/api-docs.js';
import { isGatewayCall, registerGatewayApi } from './apis/gateway-api.js';
import { createHealth } from './apis/health.js';
import { createHooksApi } from './apis/hooks-api.js';
import { createLinkPageApi } from './apis/link-page-api.js';
import { createMagicLinkPageApi } from './apis/magic-link-page-api.js';
import { createManagementApi } from './apis/management-api.js';
import { createMetricsApi } from './apis/metrics.js';
import { createOAuthApi } from './apis/oauth-api.js';
import { createOAuthPagesApi } from './apis/oauth-pages-api.js';
import { createOAuth2CallbackApi } from './apis/oauth2-callback-api.js';
import { createPkiApi } from './apis/pki-api.js';
import { type ProxyApi, registerProxyApi } from './apis/proxy-api.js';
import { registerRouteApi } from './apis/route-api.js';
import { managementRoutes } from './management-routes.js';
import type { Services } from './services.js';

export interface HttpApisDeps {
  readonly config: Pick<Config, 'hosts' | 'metricsToken' | 'trustedPeers'>;
  readonly db: Database;
  readonly services: Services;
  readonly deploymentId: string;
  readonly instruments: Instruments;
  isStopping(): boolean;
}

/** Every endpoint of the server. */
export async function registerHttpApis(app: FastifyInstance, deps: HttpApisDeps): Promise<ProxyApi> {
  const { config, db, services, deploymentId, instruments, isStopping } = deps;
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) services.parity.add(one, url);
  });
  const hosts = createHosts(config.hosts);
  const limits = services.plans;
  const steps = createCallerSteps({
    hosts,
    authenticator: services.authentication,
    limits,
    capabilityHolders: services.clientTokens,
  });
  const userSteps = createCallerSteps({ hosts, authenticator: services.userAuthentication, limits });
  const routes = managementRoutes(services);
  const { proxies, certificateHeader } = config.trustedPeers;
  const installation = { deploymentId, certificateHeader: certificateHeader?.name ?? null };
  const proxy = services.proxy(installation);
  // First: at the hosts of gateway tokens nothing else is looked for.
  const gatewayApi = registerGatewayApi(app, { proxy, wrap: services.wrap, hosts, refuse: writeErrorRaw });
  const routeProxy = services.routeProxy(installation);
  const routeApi = registerRouteApi(app, {
    proxy: routeProxy,
    hosts,
    authenticate: (request, rawHeaders) => steps.tenant(request, null, rawHeaders),
    host: steps.host,
    refuse: writeErrorRaw,
  });
  const isOfGateway = isGatewayCall(hosts);
  const proxyApi = registerProxyApi(app, {
    proxy,
    invitesItself: (request) => isOfGateway(request) || routeApi.isCall(request),
    authenticate: (request, rawHeaders) => steps.tenant(request, null, rawHeaders),
    refuse: writeErrorRaw,
  });
  const { idempotency, oauth, origins, stepUpTokens: stepUp } = services;
  await app.register(createOAuthApi({ hosts, origins, oauth }));
  await app.register(createOAuthPagesApi({ hosts, origins, pages: oauth.consent.pages }));
  await app.register(createLinkPageApi(INVITATION_PATH, services.invitationPage));
  await app.register(createOAuth2CallbackApi(services.oauth2Callback));
  await app.register(createMagicLinkPageApi(services.magicLinkPage));
  if (services.signups.isOn) await app.register(createLinkPageApi(CONFIRM_PATH, services.signupPages));
  await app.register(createManagementApi({ routes, mount: 'v1', steps, idempotency }));
  await app.register(createManagementApi({ routes, mount: 'admin', steps: userSteps, idempotency, stepUp }));
  await app.register(createAcmeApi({ hosts, origins, acme: services.acme }));
  const hooks = {
    routeProxy,
    hopMarker: createHopMarker(deploymentId),
    certificateHeader: certificateHeader?.name ?? null,
  };
  const hooksApi = createHooksApi({ hosts, entry: services.inboundWebhooks.entry(hooks) });
  await app.register(hooksApi.plugin);
  await app.register(createPkiApi({ authorities: services.authorities }));
  await app.register(
    createHealth({
      checks: { database: () => db.ping(), root_key: () => services.kms.checkRootKey() },
      isStopping,
    }),
  );
  await app.register(
    createMetricsApi({
      exposition: createExposition(instruments),
      token: config.metricsToken,
      hasPublicName: hasPublicName(config.hosts) || proxies.length > 0,
    }),
  );
  await app.register(createApiDocs({ describe: () => apiDescription(routes) }));
  return {
    async settled() {
      await Promise.all([proxyApi, gatewayApi, routeApi, hooksApi].map((api) => api.settled()));
    },
  };
}
