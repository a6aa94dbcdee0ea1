import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Database } from '../../platform/storage/database.js';
import { type Accounts, createVisitorWrites, type Sessions, type SignIns } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Dpop } from '../dpop/index.js';
import type { AuthenticateClient, Grant, OAuthRequest, OAuthTokens } from '../oauth/index.js';
import type { OAuthClients } from '../oauth-clients/index.js';
import { createAskingClients } from './asking-client.js';
import { authorizationCodeGrant } from './authorization/grant.js';
import { createAuthorization } from './authorization/service.js';
import { createCodeStore } from './authorization/store.js';
import { deviceCodeGrant } from './devices/grant.js';
import { createDevices } from './devices/service.js';
import { createDeviceStore } from './devices/store.js';
import { type ConsentJobsDeps, consentJobs } from './jobs.js';
import { createBrowsers } from './pages/browser.js';
import { type ConsentPages, createConsentPages } from './pages/service.js';
import { createWrongCodes } from './pages/wrong-codes.js';

export interface OAuthConsentDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly sessions: Pick<Sessions, 'authenticate' | 'signOutByToken'>;
  readonly signIns: Pick<SignIns, 'signIn' | 'finish'>;
  readonly clients: Pick<OAuthClients, 'find' | 'findByClientId' | 'cliClient'>;
  readonly tokens: Pick<OAuthTokens, 'stateOf' | 'openFamilyIn' | 'mintIn' | 'revokeFamilyIn'>;
  readonly dpop: Pick<Dpop, 'consumeIn'>;
  readonly authenticateClient: AuthenticateClient;
  readonly cookies: { readonly isSecure: boolean };
}

/** What users say to clients: in the browser that a client sent them from, or for a device that has none. */
export interface OAuthConsent {
  readonly pages: ConsentPages;
  /** For the token endpoint. */
  readonly grants: readonly Grant[];
  readonly jobs: ReturnType<typeof consentJobs>;
  /** `POST /oauth/device_authorization`. */
  beginDevice(request: OAuthRequest): Promise<Record<string, unknown>>;
}

export function createOAuthConsent(deps: OAuthConsentDeps): OAuthConsent {
  const { db, clock, random, accounts } = deps;
  const codes = createCodeStore(db);
  const deviceStore = createDeviceStore(db);
  const clients = createAskingClients({
    clients: deps.clients,
    tenantSlugOf: async ({ tenantId }) => (await accounts.tenantById(tenantId))?.slug,
  });
  const authorization = createAuthorization({ ...deps, clients, codes });
  const devices = createDevices({
    ...deps,
    clients,
    devices: deviceStore,
    visitorWrites: createVisitorWrites(db),
  });
  const browsers = createBrowsers(random, deps.cookies);
  const wrongCodes = createWrongCodes(clock);
  const jobsDeps: ConsentJobsDeps = { db, clock, codes, devices: deviceStore };
  return {
    pages: createConsentPages({ ...deps, browsers, clients, authorization, devices, wrongCodes }),
    grants: [authorizationCodeGrant({ ...deps, codes }), deviceCodeGrant({ ...deps, devices: deviceStore })],
    jobs: consentJobs(jobsDeps),
    beginDevice: (request) => devices.begin(request),
  };
}
