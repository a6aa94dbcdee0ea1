import { createInvitationPage, createMagicLinkPage } from '../capabilities/account-pages/index.js';
import { createAccounts, createAuth, createTeam } from '../capabilities/accounts/index.js';
import { createApiKeys } from '../capabilities/api-keys/index.js';
import { createAuditChain, createAuditLogs } from '../capabilities/audit-logs/index.js';
import {
  createAuthentication,
  createMakers,
  createUserAuthentication,
} from '../capabilities/authentication/index.js';
import { createClientTokens } from '../capabilities/client-tokens/index.js';
import {
  createCryptoKeyRecords,
  createCryptoKeys,
  createPortableCipher,
  createSignatures,
  createTransit,
  createWebhookSigner,
} from '../capabilities/crypto-keys/index.js';
import { createDpop } from '../capabilities/dpop/index.js';
import { createDynDb } from '../capabilities/dyn-db/index.js';
import { createFirstEnvironments } from '../capabilities/environments/index.js';
import { createIdempotency } from '../capabilities/idempotency/index.js';
import { createBrowsers } from '../capabilities/oauth-consent/index.js';
import { createParity } from '../capabilities/parity/index.js';
import { createPermissions } from '../capabilities/permissions/index.js';
import { createPlans, createTenantSwitch } from '../capabilities/plans/index.js';
import { createRedaction } from '../capabilities/redaction/index.js';
import { createRouteEgressUser, createRouteNames } from '../capabilities/routes/index.js';
import { createSignupPages, createSignups, plainOrigin } from '../capabilities/signup/index.js';
import { createTenantRemoval, createTenants, REMOVAL_JOB } from '../capabilities/tenants/index.js';
import { createVaults } from '../capabilities/vaults/index.js';
import { createWebhooks } from '../capabilities/webhooks/index.js';
import { createGenerations } from '../platform/cache/generations.js';
import { cacheCounts } from '../platform/cache/lru.js';
import { createPasswordHasher } from '../platform/crypto/password-hash.js';
import { createJobs } from '../platform/jobs/jobs.js';
import { createRateLimiter } from '../platform/limits/rate-limiter.js';
import { createOutbox } from '../platform/outbox/outbox.js';
import { createCallLog } from './call-log.js';
import { createCertificateServices } from './certificates.js';
import { createEgressServices } from './egress-services.js';
import { createKmsServices } from './kms.js';
import { createOAuth } from './oauth.js';
import { createProxies } from './proxies.js';
import { createRouteServices } from './routes.js';
import { createSecretServices } from './secrets.js';
import type { ServicesDeps } from './services-deps.js';
import { measuredEgress } from './telemetry.js';
import { TENANT_TABLES } from './tenant-tables.js';
import { createWatchServices } from './watch.js';

export type Services = ReturnType<typeof createServices>;

/** Builds every service, in the order of their dependencies; the order is the picture. */
export function createServices(deps: ServicesDeps) {
  const { db, clock, ids, random, logger, rootKey, previousRootKey, signIn, instruments, origins } = deps;
  const egress = measuredEgress(deps.egress, instruments, clock);
  const generations = createGenerations({ db, clock });
  const jobs = createJobs({ db, clock, ids, random, logger });
  const outbox = createOutbox({ db, clock, ids, random, jobs });
  const auditChain = createAuditChain({
    db,
    clock,
    logger,
    rootKey,
    previousRootKey,
    retentionMs: deps.auditRetentionMs,
  });
  instruments.gauge('knox_audit_unsealed_rows', 'Audit rows that are not in their chain yet.', () =>
    auditChain.unsealedRows(),
  );
  const auditReaders = [auditChain.wake];
  const tellReaders = () => auditReaders.map((tell) => tell());
  const auditLogs = createAuditLogs({ db, clock, ids, onWrite: tellReaders });
  const seedTenant = createFirstEnvironments({ db, clock, ids });
  const accounts = createAccounts({ db, clock, ids, generations, auditLogs, seedTenant });
  const permissions = createPermissions({ db });
  const limiter = createRateLimiter({ db, clock, logger, counter: deps.counter });
  const plans = createPlans({ db, clock, ids, logger, tiers: deps.tiers, accounts, generations, limiter });
  const tenantSwitch = createTenantSwitch({ db, clock, accounts, auditLogs });
  const { clouds, kms, rewraps, revocations, kmsVerification, tenantKms } = createKmsServices({
    ...deps,
    generations,
    jobs,
    outbox,
    auditLogs,
    accounts,
  });
  const idempotency = createIdempotency({ db, clock, ids, random, tenantKeys: kms, logger });
  const cryptoKeys = createCryptoKeys({ ...deps, tenantKeys: kms, generations, auditLogs });
  const cryptoRecords = createCryptoKeyRecords({ db, clock, cryptoKeys, auditLogs });
  const transit = createTransit({ db, random, cryptoKeys, records: cryptoRecords, auditLogs, logger });
  const signatures = createSignatures({ db, clock, cryptoKeys, auditLogs });
  const portable = createPortableCipher({ db, random, cryptoKeys, auditLogs });
  const vaults = createVaults({
    db,
    clock,
    ids,
    random,
    cryptoKeys,
    auditLogs,
    outbox,
    generations,
    cacheCounts: cacheCounts(instruments, 'vaults'),
  });
  const apiKeys = createApiKeys({
    db,
    clock,
    ids,
    random,
    generations,
    auditLogs,
    permissions,
    plans,
    logger,
  });
  const signups = createSignups({
    db,
    clock,
    ids,
    random,
    accounts,
    apiKeys,
    tenantKeys: kms,
    auditLogs,
    mailer: deps.mailer,
    isOn: deps.isSignupOn,
    origin: () => plainOrigin(origins),
  });
  const { tokenKey, onSignIn } = signIn;
  const auth = createAuth({
    db,
    clock,
    ids,
    random,
    auditLogs,
    passwords: createPasswordHasher(),
    rootKey,
    underRootKey: kms.underRootKey,
    tokenKey,
    logger,
    origins,
    onSignIn,
    mailer: deps.mailer,
    origin: () => plainOrigin(origins),
  });
  const { sessions, signIns, stepUpTokens } = auth;
  const cookies = { isSecure: signIn.hasSecureCookies };
  const dpop = createDpop({ db, clock, rootKey, instruments, ...deps.dpop });
  const egressServices = createEgressServices({
    ...deps,
    generations,
    auditLogs,
    tenantKeys: kms,
    users: [createRouteEgressUser(db, { cryptoKeys: cryptoRecords, vaults })],
  });
  const { egressAllowlist, egressServers } = egressServices;
  const oauth = createOAuth({
    ...deps,
    accounts,
    apiKeys,
    auditLogs,
    generations,
    permissions,
    dpop,
    egressAllowlist,
    sessions,
    signIns,
    cookies,
  });
  const team = createTeam({ db, clock, generations, auditLogs, revokeTokens: oauth.tokens.endOfUserIn });
  const authentication = createAuthentication({
    apiKeys,
    tokens: oauth.tokens,
    accounts,
    permissions,
    dpop,
    origins,
    generations,
    clock,
    cacheCounts: cacheCounts(instruments, 'credentials'),
  });
  const userAuthentication = createUserAuthentication({ sessions });
  const makers = createMakers({ apiKeys, tokens: oauth.tokens, sessions, accounts, permissions });
  const clientTokens = createClientTokens({ ...deps, auditLogs, makers, vaults });
  const redaction = createRedaction({
    ...deps,
    generations,
    auditLogs,
    routeNames: createRouteNames(db),
    cacheCounts: cacheCounts(instruments, 'redaction_plans'),
  });
  const dynDb = createDynDb({
    db,
    clock,
    ids,
    random,
    tenantKeys: kms,
    auditLogs,
    outbox,
    jobs,
    instruments,
    ...deps.targets,
  });
  const tenants = createTenants({
    db,
    clock,
    ids,
    accounts,
    tenantKeys: kms,
    auditLogs,
    isSignupOn: signups.isOn,
    wakeRemoval: () => jobs.wake(REMOVAL_JOB),
  });
  const tenantRemoval = createTenantRemoval({ db, clock, logger, generations, dynDb, tables: TENANT_TABLES });
  const { authorities, clientCa, pki, acme } = createCertificateServices({
    ...deps,
    accounts,
    kms,
    auditLogs,
    jobs,
    outbox,
  });
  const signer = createWebhookSigner(cryptoKeys);
  const webhooks = createWebhooks({
    ...deps,
    generations,
    jobs,
    outbox,
    auditLogs,
    auditChain,
    accounts,
    tenantKeys: kms,
    signer,
    egressAllowlist,
    cacheCounts: cacheCounts(instruments, 'webhooks'),
  });
  auditReaders.push(webhooks.auditFeed.onWrite);
  const aroundSecrets = { egress, generations, accounts, kms, auditLogs, egressAllowlist, plans, clientCa };
  const secretServices = createSecretServices({ ...deps, ...aroundSecrets });
  const { callLog, ...callLogs } = createCallLog({ ...deps, auditLogs, plans });
  const namedRoutes = createRouteServices({
    ...deps,
    ...secretServices,
    ...aroundSecrets,
    egressServers,
    cryptoRecords,
    vaults,
    apiLogs: callLogs.apiLogs,
  });
  const watching = createWatchServices({
    ...deps,
    ...aroundSecrets,
    ...callLogs,
    callLog,
    signer,
    jobs,
    outbox,
    routes: namedRoutes.table,
  });
  const { proxy, routeProxy } = createProxies({
    ...deps,
    ...egressServices,
    egress,
    accounts,
    generations,
    limiter,
    plans,
    clients: secretServices.clients.matcher,
    secrets: secretServices.secrets,
    routes: namedRoutes.table,
    vaults,
    transit,
    portable,
    cryptoKeys,
    redaction,
    apiLogs: callLog,
    callEvents: webhooks.callEvents,
  });

  return {
    generations,
    jobs,
    outbox,
    auditChain,
    auditLogs,
    accounts,
    permissions,
    limiter,
    plans,
    tenantSwitch,
    auth,
    team,
    invitationPage: createInvitationPage(auth.invitations),
    magicLinkPage: createMagicLinkPage({ ...auth, browsers: createBrowsers(random, cookies), cookies }),
    tenants,
    tenantRemoval,
    sessions,
    stepUpTokens,
    cookies,
    kms,
    rewraps,
    clouds,
    kmsVerification,
    tenantKms,
    revocations,
    idempotency,
    cryptoKeys,
    cryptoRecords,
    transit,
    signatures,
    portable,
    vaults,
    webhooks,
    ...watching,
    clientTokens,
    apiKeys,
    signups,
    signupPages: createSignupPages(signups),
    dpop,
    oauth,
    oauthClients: oauth.clients,
    origins,
    authentication,
    userAuthentication,
    ...secretServices,
    namedRoutes,
    redaction,
    ...egressServices,
    oidcBindings: oauth.oidcBindings,
    dynDb,
    authorities,
    clientCa,
    pki,
    acme,
    ...callLogs,
    parity: createParity({
      switches: {
        KNOX_SIGNUP: deps.isSignupOn,
        KNOX_KMS_OPERATOR_PROVIDER: deps.kms.operatorKey !== null && deps.kms.operatorKey !== 'given_up',
      },
    }),
    proxy,
    routeProxy,
  };
}
