import type { Config } from './config.js';
import type { EnvironmentSource } from './env.js';
import { VARIABLES, type VariableName } from './variables.js';

export interface EffectiveValue {
  readonly variable: VariableName;
  readonly value: string;
  readonly from: 'environment' | 'file' | 'default';
}

const DAY_MS = 86_400_000;

/** What the server would run with, secrets masked: the output of `config check`. */
export function describeConfig(config: Config, source: EnvironmentSource): EffectiveValue[] {
  const shown = shownValues(config, source);
  return (Object.keys(VARIABLES) as VariableName[]).map((variable) => ({
    variable,
    value: shown[variable],
    from: source[variable]?.trim() ? 'environment' : source[`${variable}_FILE`]?.trim() ? 'file' : 'default',
  }));
}

function shownValues(config: Config, source: EnvironmentSource): Record<VariableName, string> {
  const { listen, tls, hosts, egress, kms, leaseWorker, storage, rootKey, tracing } = config;
  const { certificateHeader } = config.trustedPeers;
  const operator = kms.operator === 'given_up' ? null : kms.operator;
  // Of the traces: whether there are any follows from all of their variables; each is shown as it was set.
  const asSet = (variable: VariableName, fallback: string) => source[variable]?.trim() || fallback;
  return {
    MASTER_KEY_B64: rootKey.kind === 'value' ? String(rootKey.key) : '(root key file)',
    MASTER_KEY_B64_PREVIOUS: String(config.previousRootKey ?? '(none)'),
    KNOX_ROOT_KEY_FILE: rootKey.kind === 'file' ? rootKey.path : '(not read)',
    KNOX_BOOTSTRAP_FILE: config.bootstrap.filePath ?? 'off',
    DATABASE_URL: storage.kind === 'sqlite' ? `sqlite:${storage.path}` : maskedUrl(storage.url.reveal()),
    REDIS_URL: config.redisUrl ? maskedUrl(config.redisUrl.reveal()) : '(none)',
    KNOX_HOST: listen.host,
    KNOX_PORT: String(listen.port),
    KNOX_DATA_DIR: config.dataDir,
    KNOX_BASE_DOMAIN: hosts.baseDomain,
    KNOX_PUBLIC_URL: hosts.publicUrl ?? httpOrigin(listen.host, listen.port),
    KNOX_CUSTOM_HOSTS: hosts.customHosts.map(({ host, slug }) => `${host}=${slug}`).join(',') || '(none)',
    KNOX_TLS_CERT_FILE: tls?.certFile ?? '(none)',
    KNOX_TLS_KEY_FILE: tls?.keyFile ?? '(none)',
    KNOX_TLS_PORT: asSet('KNOX_TLS_PORT', '8443'),
    KNOX_TRUSTED_PROXIES: asSet('KNOX_TRUSTED_PROXIES', '(none)'),
    KNOX_CLIENT_CERT_HEADER: certificateHeader?.name ?? '(none)',
    KNOX_CLIENT_CERT_FORMAT: certificateHeader?.format ?? '(none)',
    KNOX_CLIENT_CERT_PEERS: certificateHeader
      ? asSet('KNOX_CLIENT_CERT_PEERS', asSet('KNOX_TRUSTED_PROXIES', ''))
      : '(none)',
    KNOX_PLAN: config.bootstrap.plan,
    KNOX_PLAN_FILE: config.plans.filePath ?? '(none)',
    KNOX_OWNER_EMAIL: config.bootstrap.ownerEmail,
    KNOX_SIGNUP: config.signup.isOn ? 'on' : 'off',
    KNOX_SMTP_URL: config.mail ? maskedUrl(config.mail.url.reveal()) : '(printed in the log)',
    KNOX_MAIL_FROM: config.mail?.from ?? '(none)',
    KNOX_TWILIO_ACCOUNT_SID: config.sms?.accountSid ?? '(none)',
    KNOX_TWILIO_AUTH_TOKEN: config.sms === null ? '(none)' : String(config.sms.authToken),
    KNOX_TWILIO_FROM: config.sms?.from ?? '(none)',
    KNOX_LOG_RETENTION_DAYS:
      config.plans.logRetentionDays === null ? '(by plan)' : String(config.plans.logRetentionDays),
    KNOX_AUDIT_RETENTION_DAYS: String((config.audit.retentionMs ?? 0) / DAY_MS),
    KNOX_JWT_SIGNING_KEY: config.tokenKey === null ? '(kept in the database)' : String(config.tokenKey),
    KNOX_LOG_LEVEL: config.log.level,
    KNOX_METRICS_TOKEN: config.metricsToken === null ? '(none)' : String(config.metricsToken),
    OTEL_EXPORTER_OTLP_ENDPOINT: asSet('OTEL_EXPORTER_OTLP_ENDPOINT', '(none)'),
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: tracing?.endpoint ?? '(no traces)',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
    OTEL_TRACES_EXPORTER: asSet('OTEL_TRACES_EXPORTER', 'otlp'),
    OTEL_SDK_DISABLED: asSet('OTEL_SDK_DISABLED', 'false'),
    OTEL_TRACES_SAMPLER: asSet('OTEL_TRACES_SAMPLER', 'parentbased_always_on'),
    OTEL_TRACES_SAMPLER_ARG: asSet('OTEL_TRACES_SAMPLER_ARG', '1'),
    KNOX_SHUTDOWN_TIMEOUT_SECONDS: String(config.shutdownTimeoutMs / 1000),
    KNOX_DB_POOL_MAX: storage.kind === 'postgres' ? String(storage.poolMax) : '(SQLite)',
    KNOX_DPOP_IAT_WINDOW_SECONDS: String(config.dpop.iatWindowMs / 1000),
    KNOX_ALLOW_PRIVATE_UPSTREAMS: egress.allowPrivateUpstreams || '(none)',
    KNOX_EGRESS_SOURCE_ADDRESSES: egress.sourceAddresses || '(none)',
    KNOX_DNS_SERVERS:
      egress.dnsServers?.map(({ address, port }) => httpHost(address, port)).join(',') ??
      '(/etc/resolv.conf)',
    KNOX_ACME_VALIDATION_TARGETS: config.acme.validationTargets || '(none)',
    KNOX_ACME_HTTP01_PORT: String(config.acme.http01Port),
    KNOX_EXTRA_CA_FILE: egress.extraCaFile ?? '(none)',
    KNOX_WRAP_SUBDOMAINS: hosts.hasWrapSubdomains ? 'on' : 'off',
    KNOX_EGRESS_NAT64: egress.nat64 ? 'on' : 'off',
    KNOX_ALLOW_HTTP_WEBHOOKS: egress.areHttpWebhooksAllowed ? 'on' : 'off',
    KNOX_LEASE_WORKER_PAUSED: leaseWorker.isPaused ? 'on' : 'off',
    KNOX_DB_ALLOW_TARGETS: asSet('KNOX_DB_ALLOW_TARGETS', '*'),
    KNOX_DB_DENY_TARGETS: asSet('KNOX_DB_DENY_TARGETS', '(none)'),
    KNOX_KMS_OPERATOR_PROVIDER: operator?.provider ?? (kms.operator === null ? '(none)' : 'none'),
    KNOX_KMS_OPERATOR_KEY_REF: operator?.keyRef ?? '(none)',
    KNOX_KMS_OPERATOR_CONFIG: operator ? '[SECRET]' : '(none)',
    KNOX_KMS_AWS_ENDPOINT: kms.endpoints.awsKms ?? '(of the region)',
    KNOX_KMS_STS_ENDPOINT: kms.endpoints.awsSts ?? '(of the region)',
    KNOX_KMS_GCP_ENDPOINT: kms.endpoints.gcpKms ?? 'https://cloudkms.googleapis.com',
    KNOX_KMS_GCP_IAM_ENDPOINT: kms.endpoints.gcpIam ?? 'https://iamcredentials.googleapis.com',
    KNOX_KMS_AZURE_AUTHORITY: kms.endpoints.azureAuthority ?? "(of the vault's cloud)",
    KNOX_KMS_AZURE_VAULT: kms.endpoints.azureVault ?? '(the vault itself)',
    KNOX_KMS_AWS_ACCOUNT_ID: kms.identities.aws ?? '(of the own identity)',
    KNOX_KMS_GCP_PRINCIPAL: kms.identities.gcp ?? '(of the own identity)',
    AZURE_CLIENT_ID: kms.azureWorkload.clientId ?? '(the only one)',
    AZURE_TENANT_ID: kms.azureWorkload.tenantId ?? '(none)',
    AZURE_FEDERATED_TOKEN_FILE: kms.azureWorkload.tokenFile ?? '(none)',
    KNOX_KMS_SHARED_KEYS: kms.hasSharedKeys ? 'on' : 'off',
  };
}

/** The query may hold a password too (`?password=`), so none of it is shown. */
function maskedUrl(text: string): string {
  const url = new URL(text);
  const user = url.username === '' ? '' : `${url.username}${url.password === '' ? '' : ':[SECRET]'}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}${url.search === '' ? '' : '?[SECRET]'}`;
}

function httpHost(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function httpOrigin(host: string, port: number): string {
  return `http://${httpHost(host, port)}`;
}
