import type { Engines, Transports } from '../capabilities/dyn-db/index.js';
import type {
  AzureWorkload,
  CloudEndpoints,
  CloudIdentities,
  Clouds,
  OperatorKey,
} from '../capabilities/kms/index.js';
import type { Clock } from '../kernel/clock.js';
import type { IdSource } from '../kernel/ids.js';
import type { PlanTiers } from '../kernel/plan-tiers.js';
import type { Secret } from '../kernel/secret.js';
import type { SmsSettings } from '../platform/config/mail-settings.js';
import type { Random } from '../platform/crypto/random.js';
import type { Egress } from '../platform/egress/egress.js';
import type { Validation } from '../platform/egress/validation.js';
import type { Origins } from '../platform/http/origins.js';
import type { SharedCounter } from '../platform/limits/redis-allowance.js';
import type { Logger } from '../platform/log/logger.js';
import type { Mailer } from '../platform/mail/mail.js';
import type { Database } from '../platform/storage/database.js';
import type { Instruments } from '../platform/telemetry/instruments.js';

/** What the services are built from. */
export interface ServicesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly rootKey: Secret<Buffer>;
  readonly egress: Egress;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly areHttpWebhooksAllowed: boolean;
  /** Of names that ACME clients want certified. */
  readonly acmeValidation: Validation;
  readonly kms: KmsSettings;
  /** In place of those that the settings name, where there is no cloud to be asked. */
  readonly clouds?: Clouds;
  /** The former root key, while it is being changed. */
  readonly previousRootKey: Secret<Buffer> | null;
  /** Null = for ever. */
  readonly auditRetentionMs: number | null;
  readonly tiers: PlanTiers;
  /** Where `REDIS_URL` is set. */
  readonly counter: SharedCounter | null;
  readonly signIn: SignInSettings;
  readonly mailer: Mailer;
  /** Where `KNOX_TWILIO_*` are set. */
  readonly sms: SmsSettings | null;
  /** `KNOX_SIGNUP`. */
  readonly isSignupOn: boolean;
  /** By which callers reach the server. */
  readonly origins: Origins;
  /** `KNOX_WRAP_SUBDOMAINS`. */
  readonly hasWrapSubdomains: boolean;
  /** `KNOX_PUBLIC_URL`: what stands in certificates, which a guess must not. */
  readonly publicUrl: string | null;
  readonly dpop: { readonly iatWindowMs: number };
  readonly instruments: Instruments;
  readonly targets: TargetDatabases;
}

/** KNOX_KMS_* and KNOX_TENANT_KMS_*. */
export interface KmsSettings {
  readonly operatorKey: OperatorKey;
  readonly endpoints: CloudEndpoints;
  readonly identities: CloudIdentities;
  readonly azureWorkload: AzureWorkload;
  /** `KNOX_KMS_SHARED_KEYS`. */
  readonly hasSharedKeys: boolean;
  secretOf(variable: string): Secret<string> | undefined;
}

/** Databases that credentials are minted for. */
export interface TargetDatabases {
  readonly engines: Engines;
  readonly transports: Transports;
  /** PEM of `KNOX_EXTRA_CA_FILE`. */
  readonly extraCa: string | null;
  /** `KNOX_LEASE_WORKER_PAUSED`. */
  readonly isWorkerPaused: boolean;
}

export interface SignInSettings {
  /** `KNOX_JWT_SIGNING_KEY`. */
  readonly tokenKey: Secret<Buffer> | null;
  readonly hasSecureCookies: boolean;
  onSignIn(user: { readonly email: string }): void;
}
