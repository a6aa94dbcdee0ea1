import { ACCOUNT_SAMPLES } from './account-samples.js';
import { ACME_KINDS, ACME_SAMPLES } from './acme-samples.js';
import { ALERT_KINDS, ALERT_SAMPLES } from './alert-samples.js';
import { API_KEY_KINDS, API_KEY_SAMPLES } from './api-key-samples.js';
import { CLIENT_KINDS, CLIENT_SAMPLES } from './client-samples.js';
import { CLIENT_TOKEN_SAMPLES } from './client-token-samples.js';
import { CRYPTO_KEY_KINDS, CRYPTO_KEY_SAMPLES } from './crypto-key-samples.js';
import { DYN_DB_KINDS, DYN_DB_SAMPLES } from './dyn-db-samples.js';
import { EGRESS_KINDS, EGRESS_SAMPLES } from './egress-samples.js';
import { FACTOR_SAMPLES } from './factor-samples.js';
import { INBOUND_WEBHOOK_KINDS, INBOUND_WEBHOOK_SAMPLES } from './inbound-webhook-samples.js';
import { LOG_KINDS, LOG_SAMPLES } from './log-samples.js';
import { NAMED_ROUTE_KINDS, NAMED_ROUTE_SAMPLES } from './named-route-samples.js';
import { OAUTH_KINDS, OAUTH_SAMPLES } from './oauth-samples.js';
import { OAUTH2_KINDS, OAUTH2_SAMPLES } from './oauth2-samples.js';
import { OIDC_BINDING_KINDS, OIDC_BINDING_SAMPLES } from './oidc-binding-samples.js';
import { PKI_KINDS, PKI_SAMPLES } from './pki-samples.js';
import { PORTABLE_SAMPLES } from './portable-samples.js';
import { PROXY_KINDS, PROXY_SAMPLES } from './proxy-samples.js';
import type { Kind, RouteSample } from './route-sample.js';
import { SECRET_KINDS, SECRET_SAMPLES } from './secret-samples.js';
import { SIGNING_SAMPLES } from './signing-samples.js';
import { TENANT_KMS_SAMPLES } from './tenant-kms-samples.js';
import { VAULT_KINDS, VAULT_SAMPLES } from './vault-samples.js';
import { WEBHOOK_KINDS, WEBHOOK_SAMPLES } from './webhook-samples.js';
import { WRAP_KINDS, WRAP_SAMPLES } from './wrap-samples.js';

/** By definition, as `GET /v1/vaults/:nameOrId`; the twin under `/admin` takes the same. */
export const ROUTE_SAMPLES: Readonly<Record<string, RouteSample>> = {
  ...ACCOUNT_SAMPLES,
  ...ACME_SAMPLES,
  ...ALERT_SAMPLES,
  ...API_KEY_SAMPLES,
  ...CLIENT_SAMPLES,
  ...CLIENT_TOKEN_SAMPLES,
  ...CRYPTO_KEY_SAMPLES,
  ...DYN_DB_SAMPLES,
  ...FACTOR_SAMPLES,
  ...INBOUND_WEBHOOK_SAMPLES,
  ...LOG_SAMPLES,
  ...NAMED_ROUTE_SAMPLES,
  ...OAUTH_SAMPLES,
  ...OIDC_BINDING_SAMPLES,
  ...PKI_SAMPLES,
  ...PORTABLE_SAMPLES,
  ...PROXY_SAMPLES,
  ...OAUTH2_SAMPLES,
  ...SECRET_SAMPLES,
  ...SIGNING_SAMPLES,
  ...TENANT_KMS_SAMPLES,
  ...VAULT_SAMPLES,
  ...WEBHOOK_SAMPLES,
  ...EGRESS_SAMPLES,
  ...WRAP_SAMPLES,
};

/** What there are several of in a tenant, by the path of its collection. */
export const KINDS: Readonly<Record<string, Kind>> = {
  ...ACME_KINDS,
  ...ALERT_KINDS,
  ...API_KEY_KINDS,
  ...CLIENT_KINDS,
  ...CRYPTO_KEY_KINDS,
  ...DYN_DB_KINDS,
  ...INBOUND_WEBHOOK_KINDS,
  ...LOG_KINDS,
  ...NAMED_ROUTE_KINDS,
  ...OAUTH_KINDS,
  ...OIDC_BINDING_KINDS,
  ...PKI_KINDS,
  ...PROXY_KINDS,
  ...OAUTH2_KINDS,
  ...SECRET_KINDS,
  ...VAULT_KINDS,
  ...WEBHOOK_KINDS,
  ...EGRESS_KINDS,
  ...WRAP_KINDS,
};
