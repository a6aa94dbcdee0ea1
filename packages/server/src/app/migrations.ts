import { migrations as accountsMigrations } from '../capabilities/accounts/index.js';
import {
  envelopeColumns as acmeEnvelopeColumns,
  migrations as acmeMigrations,
} from '../capabilities/acme/index.js';
import {
  envelopeColumns as alertsEnvelopeColumns,
  migrations as alertsMigrations,
} from '../capabilities/alerts/index.js';
import { migrations as analyticsMigrations } from '../capabilities/analytics/index.js';
import { migrations as apiKeysMigrations } from '../capabilities/api-keys/index.js';
import { migrations as apiLogsMigrations } from '../capabilities/api-logs/index.js';
import { migrations as auditLogsMigrations } from '../capabilities/audit-logs/index.js';
import {
  envelopeColumns as authoritiesEnvelopeColumns,
  migrations as authoritiesMigrations,
} from '../capabilities/authorities/index.js';
import { migrations as clientTokensMigrations } from '../capabilities/client-tokens/index.js';
import { migrations as clientsMigrations } from '../capabilities/clients/index.js';
import {
  envelopeColumns as cryptoKeysEnvelopeColumns,
  migrations as cryptoKeysMigrations,
} from '../capabilities/crypto-keys/index.js';
import { migrations as dpopMigrations } from '../capabilities/dpop/index.js';
import {
  envelopeColumns as dynDbEnvelopeColumns,
  migrations as dynDbMigrations,
} from '../capabilities/dyn-db/index.js';
import { migrations as egressAllowlistMigrations } from '../capabilities/egress-allowlist/index.js';
import {
  envelopeColumns as egressServersEnvelopeColumns,
  migrations as egressServersMigrations,
} from '../capabilities/egress-servers/index.js';
import { migrations as environmentsMigrations } from '../capabilities/environments/index.js';
import {
  envelopeColumns as idempotencyEnvelopeColumns,
  migrations as idempotencyMigrations,
} from '../capabilities/idempotency/index.js';
import {
  envelopeColumns as inboundWebhooksEnvelopeColumns,
  migrations as inboundWebhooksMigrations,
} from '../capabilities/inbound-webhooks/index.js';
import { migrations as kmsMigrations } from '../capabilities/kms/index.js';
import { migrations as oauthMigrations } from '../capabilities/oauth/index.js';
import { migrations as oauthClientsMigrations } from '../capabilities/oauth-clients/index.js';
import { migrations as oauthConsentMigrations } from '../capabilities/oauth-consent/index.js';
import { migrations as oidcBindingsMigrations } from '../capabilities/oidc-bindings/index.js';
import { migrations as permissionsMigrations } from '../capabilities/permissions/index.js';
import { migrations as pkiMigrations } from '../capabilities/pki/index.js';
import { migrations as plansMigrations } from '../capabilities/plans/index.js';
import { migrations as redactionMigrations } from '../capabilities/redaction/index.js';
import { migrations as routesMigrations } from '../capabilities/routes/index.js';
import {
  envelopeColumns as secretsEnvelopeColumns,
  migrations as secretsMigrations,
} from '../capabilities/secrets/index.js';
import { migrations as signupMigrations } from '../capabilities/signup/index.js';
import { migrations as vaultsMigrations } from '../capabilities/vaults/index.js';
import {
  envelopeColumns as webhooksEnvelopeColumns,
  migrations as webhooksMigrations,
} from '../capabilities/webhooks/index.js';
import { migrations as wrapMigrations } from '../capabilities/wrap/index.js';
import { migrations as generationsMigrations } from '../platform/cache/generations.js';
import { migrations as jobsMigrations } from '../platform/jobs/tables.js';
import { migrations as limitsMigrations } from '../platform/limits/tables.js';
import { migrations as outboxMigrations } from '../platform/outbox/tables.js';
import type { Migration } from '../platform/storage/migration.js';

/** Those of every capability; the storage floor sorts them by id. */
export const MIGRATIONS: readonly Migration[] = [
  ...accountsMigrations,
  ...generationsMigrations,
  ...jobsMigrations,
  ...outboxMigrations,
  ...kmsMigrations,
  ...cryptoKeysMigrations,
  ...permissionsMigrations,
  ...apiKeysMigrations,
  ...auditLogsMigrations,
  ...vaultsMigrations,
  ...redactionMigrations,
  ...apiLogsMigrations,
  ...analyticsMigrations,
  ...idempotencyMigrations,
  ...plansMigrations,
  ...limitsMigrations,
  ...egressAllowlistMigrations,
  ...dynDbMigrations,
  ...oauthClientsMigrations,
  ...oauthMigrations,
  ...dpopMigrations,
  ...oidcBindingsMigrations,
  ...oauthConsentMigrations,
  ...authoritiesMigrations,
  ...clientsMigrations,
  ...pkiMigrations,
  ...acmeMigrations,
  ...clientTokensMigrations,
  ...signupMigrations,
  ...environmentsMigrations,
  ...secretsMigrations,
  ...webhooksMigrations,
  ...routesMigrations,
  ...egressServersMigrations,
  ...wrapMigrations,
  ...alertsMigrations,
  ...inboundWebhooksMigrations,
];

/** What is stored under a tenant's key, for whoever changes the root key. */
export const ENVELOPE_COLUMNS = [
  ...cryptoKeysEnvelopeColumns,
  ...idempotencyEnvelopeColumns,
  ...dynDbEnvelopeColumns,
  ...authoritiesEnvelopeColumns,
  ...acmeEnvelopeColumns,
  ...secretsEnvelopeColumns,
  ...webhooksEnvelopeColumns,
  ...egressServersEnvelopeColumns,
  ...alertsEnvelopeColumns,
  ...inboundWebhooksEnvelopeColumns,
];
