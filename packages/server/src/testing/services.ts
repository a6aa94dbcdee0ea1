import { closersOf } from '../app/closers.js';
import { createServices, type Services } from '../app/services.js';
import type { KmsSettings, TargetDatabases } from '../app/services-deps.js';
import type { Clouds } from '../capabilities/kms/index.js';
import type { Clock } from '../kernel/clock.js';
import { LIMITS } from '../kernel/limits.js';
import { DEFAULT_TIERS, type PlanTiers } from '../kernel/plan-tiers.js';
import { Secret } from '../kernel/secret.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { Egress } from '../platform/egress/egress.js';
import { createEgress, type EgressDeps } from '../platform/egress/guarded-fetch.js';
import { createValidation, type ValidationDeps } from '../platform/egress/validation.js';
import { createCallerSteps } from '../platform/http/caller.js';
import { createHosts } from '../platform/http/hosts.js';
import { createOrigins } from '../platform/http/origins.js';
import type { Logger } from '../platform/log/logger.js';
import type { Database } from '../platform/storage/database.js';
import { createInstruments, type Instruments } from '../platform/telemetry/instruments.js';
import { NO_CLOUD } from './kms-settings.js';
import { createMailBox, type MailBox } from './mail-box.js';
import { createMemoryClouds } from './memory-clouds.js';
import { createMemoryDatabases } from './memory-databases.js';

export interface TestServicesOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A key of the tests unless they share a database with a server. */
  readonly rootKey?: Secret<Buffer>;
  /** Those of the product unless a suite brings its own. */
  readonly tiers?: PlanTiers;
  /** Default that of calls in this process, which no listener has. */
  readonly publicUrl?: () => string;
  /** `KNOX_PUBLIC_URL`, as it stands in certificates; default none. */
  readonly configuredUrl?: string;
  /** Some in memory unless a suite brings real ones. */
  readonly targets?: TargetDatabases;
  /** `KNOX_SIGNUP`; default on. */
  readonly isSignupOn?: boolean;
  /** Those in memory unless a suite brings others. */
  readonly clouds?: Clouds;
  readonly kms?: Partial<KmsSettings>;
  /** The guard's; unless a suite brings some, it resolves no name. */
  readonly egress?: Partial<Omit<EgressDeps, 'clock'>>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`; default off. */
  readonly areHttpWebhooksAllowed?: boolean;
  /** `KNOX_WRAP_SUBDOMAINS`; default off. */
  readonly hasWrapSubdomains?: boolean;
  /** Of ACME; unless a suite brings some, it resolves no name. */
  readonly validation?: Partial<Omit<ValidationDeps, 'clock'>>;
}

export interface TestServices extends Services {
  readonly egress: Egress;
  readonly instruments: Instruments;
  readonly mailBox: MailBox;
}

/** The services as the server builds them, nothing of them started. */
export function createTestServices(options: TestServicesOptions): TestServices {
  const { db, clock, logger, rootKey = new Secret(Buffer.alloc(32, 7)), tiers = DEFAULT_TIERS } = options;
  const egress = createEgress({
    clock,
    allowPrivateUpstreams: '',
    dnsServers: [],
    extraCaPem: null,
    nat64: false,
    ownNames: [],
    ...options.egress,
  });
  const instruments = createInstruments();
  const mailBox = createMailBox();
  const services = createServices({
    db,
    clock,
    ids: systemIds,
    random: systemRandom,
    logger,
    rootKey,
    egress,
    areHttpWebhooksAllowed: options.areHttpWebhooksAllowed ?? false,
    acmeValidation: createValidation({
      clock,
      targets: '',
      http01Port: 80,
      dnsServers: [],
      nat64: false,
      ownNames: [],
      isOwnEndpoint: egress.isOwnEndpoint,
      ...options.validation,
    }),
    kms: { ...NO_CLOUD, ...options.kms },
    clouds: options.clouds ?? createMemoryClouds(),
    previousRootKey: null,
    auditRetentionMs: null,
    tiers,
    counter: null,
    instruments,
    mailer: mailBox,
    sms: null,
    isSignupOn: options.isSignupOn ?? true,
    targets: options.targets ?? { ...createMemoryDatabases(), extraCa: null, isWorkerPaused: false },
    dpop: { iatWindowMs: LIMITS.dpopIatWindowMs },
    hasWrapSubdomains: options.hasWrapSubdomains ?? false,
    publicUrl: options.configuredUrl ?? null,
    origins: createOrigins({ baseDomain: 'localhost' }, options.publicUrl ?? (() => 'http://127.0.0.1:8787')),
    signIn: { tokenKey: null, hasSecureCookies: false, onSignIn: () => {} },
  });
  return { ...services, egress, instruments, mailBox };
}

/** Of `/v1` and of `/admin`, where names under `localhost` decide the mode. */
export function stepsOf(services: TestServices) {
  const { authentication, userAuthentication, clientTokens: capabilityHolders, plans: limits } = services;
  const hosts = createHosts({ baseDomain: 'localhost', publicUrl: null, customHosts: [] });
  return {
    steps: createCallerSteps({ hosts, limits, authenticator: authentication, capabilityHolders }),
    userSteps: createCallerSteps({ hosts, limits, authenticator: userAuthentication }),
  };
}

/** Ends what the services have begun; the database stays open. */
export async function stopServices(services: TestServices): Promise<void> {
  for (const close of closersOf(services).reverse()) await close();
  await services.egress.close();
}
