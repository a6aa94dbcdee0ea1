import { PLANS } from '../../kernel/plan-tiers.js';
import { CERTIFICATE_FORMATS } from '../http/certificate-header.js';
import {
  awsAccount,
  bearerToken,
  customHosts,
  databaseAddress,
  databaseTargets,
  dnsServers,
  domainName,
  emailAddress,
  gcpPrincipal,
  headerName,
  hostOrAddress,
  httpsNameOrigin,
  httpUrl,
  integer,
  jsonText,
  key32,
  mailSender,
  oneOf,
  origin,
  type Parse,
  peerRanges,
  plainText,
  redisUrl,
  share,
  signingKey,
  smtpUrl,
  twilioAccount,
  twilioSender,
} from './parsers.js';

export interface Variable<T> {
  readonly parse: Parse<T>;
  /** Also read from the file that `<NAME>_FILE` names; masked wherever it is shown. */
  readonly secret?: boolean;
  /** For the table of docs/operations/variables.md, which is generated from this one. */
  readonly fallback: string;
  readonly meaning: string;
}

function variable<T>(parse: Parse<T>, fallback: string, meaning: string, secret = false): Variable<T> {
  return { parse, fallback, meaning, secret };
}

/** Those of the OpenTelemetry specification that need no service of their own. */
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** Every variable that this version carries out (contract README §8). */
export const VARIABLES = {
  MASTER_KEY_B64: variable(
    key32,
    'the root key file',
    'Key that wraps every tenant key: base64 of exactly 32 bytes.',
    true,
  ),
  MASTER_KEY_B64_PREVIOUS: variable(
    key32,
    'none',
    'The former root key, for the one start that changes it to `MASTER_KEY_B64` or the root key file.',
    true,
  ),
  KNOX_ROOT_KEY_FILE: variable(
    plainText,
    '`<data dir>/root.key`',
    'Read when `MASTER_KEY_B64` is absent; made with mode 0600 at the first start. No backup copies it.',
  ),
  KNOX_BOOTSTRAP_FILE: variable(
    plainText,
    '`<data dir>/bootstrap.json`',
    "Credentials of the first start, mode 0600, removed at the owner's first sign-in or after 24 h. `off`: not written.",
  ),
  DATABASE_URL: variable(
    databaseAddress,
    '`<data dir>/knox.db` (SQLite)',
    '`postgres://…` or `sqlite:<path>`.',
    true,
  ),
  REDIS_URL: variable(
    redisUrl,
    'none',
    'Redis or Valkey that counts rate limits exactly for all processes: `redis://…` or `rediss://…`. While it is away they are counted in slices.',
    true,
  ),
  KNOX_HOST: variable(hostOrAddress, '`127.0.0.1`', 'Address the server listens on.'),
  KNOX_PORT: variable(integer(0, 65_535), '`8787`', 'Port it listens on; 0 takes a free one.'),
  KNOX_DATA_DIR: variable(
    plainText,
    '`./data`',
    'Data directory, made with mode 0700. One process at a time.',
  ),
  KNOX_BASE_DOMAIN: variable(
    domainName,
    '`localhost`',
    'Hosts `api.`, `sandbox.`, `<slug>.` and `sandbox-<slug>.` stand under it.',
  ),
  KNOX_PUBLIC_URL: variable(
    origin,
    '`http://<KNOX_HOST>:<KNOX_PORT>`',
    'Public origin of a plain address; written to the bootstrap file as `base_url`.',
  ),
  KNOX_CUSTOM_HOSTS: variable(
    customHosts,
    'empty',
    'Comma list of `host=tenant-slug`: further tenant hosts.',
  ),
  KNOX_TLS_CERT_FILE: variable(
    plainText,
    'none',
    'PEM file of the certificate, then its chain, of a second listener, for HTTPS; a change is taken up without a restart. [TLS](tls.md).',
  ),
  KNOX_TLS_KEY_FILE: variable(plainText, 'none', 'PEM file of its private key, without a passphrase.'),
  KNOX_TLS_PORT: variable(
    integer(0, 65_535),
    '`8443`',
    'Its port, on the address of `KNOX_HOST`; 0 takes a free one.',
  ),
  KNOX_TRUSTED_PROXIES: variable(
    peerRanges,
    'empty',
    'Comma list of CIDR: peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. At least /8 (IPv4) or /16 (IPv6). [TLS](tls.md#behind-a-proxy).',
  ),
  KNOX_CLIENT_CERT_HEADER: variable(
    headerName,
    'none',
    'Header in which a TLS-terminating proxy hands on the certificate of its client. [TLS](tls.md#client-certificates-from-a-proxy).',
  ),
  KNOX_CLIENT_CERT_FORMAT: variable(
    oneOf(...CERTIFICATE_FORMATS),
    'none',
    'What stands in it: `xfcc`, `rfc9440`, `pem-urlencoded`, `der-base64` or `sha256-hex`.',
  ),
  KNOX_CLIENT_CERT_PEERS: variable(
    peerRanges,
    'those of `KNOX_TRUSTED_PROXIES`',
    'Comma list of CIDR: peers that may send it; the same bounds.',
  ),
  KNOX_PLAN: variable(
    oneOf(...PLANS),
    '`enterprise`',
    'Plan of the tenant of the first start: `free`, `starter`, `pro` or `enterprise`. Later `knox-server tenant set` changes it.',
  ),
  KNOX_PLAN_FILE: variable(
    plainText,
    'none',
    'JSON file whose numbers and features replace those of the plans: [plans](plans.md).',
  ),
  KNOX_SIGNUP: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: strangers get a tenant of the plan `free` by `POST /v1/signup`, once they have used the link that is mailed. [Signup](signup.md).',
  ),
  KNOX_OWNER_EMAIL: variable(emailAddress, '`owner@localhost`', 'Owner made at the first start.'),
  KNOX_SMTP_URL: variable(
    smtpUrl,
    'none',
    'Server that mail is sent by: `smtps://user:password@host:port`, or `smtp://` with STARTTLS, which a server on loopback may do without. Without it links are printed in the log. [Mail](mail.md).',
    true,
  ),
  KNOX_MAIL_FROM: variable(
    mailSender,
    'none',
    'Whom mail is from: `knox@example.com` or `KnoxCall <knox@example.com>`; needed beside `KNOX_SMTP_URL`.',
  ),
  KNOX_TWILIO_ACCOUNT_SID: variable(
    twilioAccount,
    'none',
    'Account at Twilio that alerts are sent by as SMS; needed beside the next two. Without them alerts have no SMS. [Alerts](alerts.md).',
  ),
  KNOX_TWILIO_AUTH_TOKEN: variable(bearerToken, 'none', 'Its auth token.', true),
  KNOX_TWILIO_FROM: variable(
    twilioSender,
    'none',
    'Number that SMS are from (`+15005550006`), or a messaging service (`MG…`).',
  ),
  KNOX_LOG_RETENTION_DAYS: variable(
    integer(1, 3_650),
    'by plan (90)',
    'Days that rows of the request log are kept, whatever the plan; without it [the days of the plan](plans.md). 1 to 3650.',
  ),
  KNOX_AUDIT_RETENTION_DAYS: variable(
    integer(0, 3_650),
    '`365`',
    'Days that audit rows are kept; 0: for ever, otherwise 1 to 3650. The critical chain is never trimmed.',
  ),
  KNOX_JWT_SIGNING_KEY: variable(
    signingKey,
    'made and kept wrapped',
    'Key that signs admin tokens: a P-256 private key in PEM; a line end may be written as `\\n`.',
    true,
  ),
  KNOX_LOG_LEVEL: variable(
    oneOf('trace', 'debug', 'info', 'warn', 'error'),
    '`info`',
    '`trace`, `debug`, `info`, `warn` or `error`.',
  ),
  KNOX_METRICS_TOKEN: variable(
    bearerToken,
    'none',
    'Bearer for `/metrics`, 16 to 512 visible characters; without it only the server’s own machine may read it, while the server has no public name.',
    true,
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable(
    httpUrl,
    'none',
    'Collector that traces are sent to, `http://host:4318`; `/v1/traces` is added. Without it no traces are kept.',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: variable(
    httpUrl,
    '`<OTEL_EXPORTER_OTLP_ENDPOINT>/v1/traces`',
    'The same for traces alone, with its path.',
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable(oneOf('http/json'), '`http/json`', 'OTLP over HTTP in JSON only.'),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: variable(
    oneOf('http/json'),
    '`http/json`',
    'The same for traces alone.',
  ),
  OTEL_TRACES_EXPORTER: variable(oneOf('otlp', 'none'), '`otlp`', '`none`: no traces, whatever else is set.'),
  OTEL_SDK_DISABLED: variable(oneOf('true', 'false'), '`false`', '`true`: no traces, whatever else is set.'),
  OTEL_TRACES_SAMPLER: variable(
    oneOf(...SAMPLERS),
    '`parentbased_always_on`',
    'Which requests are traced. Each begins a trace of its own, so that `parentbased_` makes no difference.',
  ),
  OTEL_TRACES_SAMPLER_ARG: variable(share, '`1`', 'Share of the requests that `traceidratio` keeps; 0 to 1.'),
  KNOX_SHUTDOWN_TIMEOUT_SECONDS: variable(integer(1, 300), '`10`', 'Longest drain after SIGTERM; 1 to 300.'),
  KNOX_DB_POOL_MAX: variable(integer(1, 200), '`10`', 'PostgreSQL connections of this process; 1 to 200.'),
  KNOX_DPOP_IAT_WINDOW_SECONDS: variable(
    integer(10, 300),
    '`60`',
    'How far the `iat` of a DPoP proof may be from the clock here, to either side; 10 to 300. [DPoP](dpop.md).',
  ),
  KNOX_ALLOW_PRIVATE_UPSTREAMS: variable(
    plainText,
    'empty',
    'Comma list of `<cidr or name suffix>[:ports][@tenant-slug]` that the egress guard lets through although private.',
  ),
  KNOX_EGRESS_SOURCE_ADDRESSES: variable(
    plainText,
    'empty',
    'Comma list of `<address of this machine>[@tenant-slug]` that calls of every tenant, or of that one, may be sent from. [Egress servers](egress-servers.md).',
  ),
  KNOX_DNS_SERVERS: variable(
    dnsServers,
    'those of `/etc/resolv.conf`',
    'Comma list of `ip[:port]` that the egress guard asks, and ACME validation.',
  ),
  KNOX_ACME_VALIDATION_TARGETS: variable(
    plainText,
    'empty',
    'Comma list of CIDR and name suffixes that ACME validation may reach beside public names: at least /8 (IPv4) or /16 (IPv6). [ACME](acme.md).',
  ),
  KNOX_ACME_HTTP01_PORT: variable(
    integer(1, 65_535),
    '`80`',
    'Port at which http-01 asks for its page. Another than 80 is for networks of one’s own: clients serve it there.',
  ),
  KNOX_EXTRA_CA_FILE: variable(plainText, 'none', 'PEM file added to the trust of outbound TLS.'),
  KNOX_ALLOW_HTTP_WEBHOOKS: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: webhooks may go to `http:` URLs, unencrypted: for development.',
  ),
  KNOX_WRAP_SUBDOMAINS: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: gateway tokens may be given hosts of their own, `<label>.wrap.<KNOX_BASE_DOMAIN>`, which DNS and certificate have to cover. [Wrap](wrap.md).',
  ),
  KNOX_EGRESS_NAT64: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: judge the IPv4 address inside `64:ff9b::/96`.',
  ),
  KNOX_LEASE_WORKER_PAUSED: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: database leases that are due are left alone, for a start from a backup: users may have been renewed since. What a caller revokes is revoked. Start again without it to go on.',
  ),
  KNOX_DB_ALLOW_TARGETS: variable(
    databaseTargets,
    '`*`',
    'Databases that dynamic credentials may be made on: comma list of `*`, `public`, host, `*.host` or CIDR, each with optional `:port`. [Database targets](database-targets.md).',
  ),
  KNOX_DB_DENY_TARGETS: variable(databaseTargets, 'empty', 'The same form; wins.'),
  KNOX_KMS_OPERATOR_PROVIDER: variable(
    oneOf('aws', 'gcp', 'azure', 'none'),
    'unset',
    'Cloud whose KMS wraps the master keys of all tenants in place of the root key; with the next two. `none` goes back to the root key. [Operator’s KMS](operator-kms.md).',
  ),
  KNOX_KMS_OPERATOR_KEY_REF: variable(plainText, 'none', 'The key there: ARN, resource name or URL.'),
  KNOX_KMS_OPERATOR_CONFIG: variable(
    jsonText,
    'none',
    'JSON of references, no credential: `{"region":"eu-central-1"}`, `{}` or `{"vault_url":"https://NAME.vault.azure.net"}`, and what [the page](operator-kms.md) names.',
    true,
  ),
  KNOX_KMS_AWS_ENDPOINT: variable(
    httpsNameOrigin,
    'that of the key’s region',
    'AWS KMS: `https://name`, also of a private endpoint.',
  ),
  KNOX_KMS_STS_ENDPOINT: variable(httpsNameOrigin, 'that of the key’s region', 'AWS STS.'),
  KNOX_KMS_GCP_ENDPOINT: variable(httpsNameOrigin, '`https://cloudkms.googleapis.com`', 'Google Cloud KMS.'),
  KNOX_KMS_GCP_IAM_ENDPOINT: variable(
    httpsNameOrigin,
    '`https://iamcredentials.googleapis.com`',
    'Google IAM Credentials.',
  ),
  KNOX_KMS_AZURE_AUTHORITY: variable(
    httpsNameOrigin,
    'that of the vault’s cloud',
    'Microsoft Entra: who gives tokens.',
  ),
  KNOX_KMS_AZURE_VAULT: variable(httpsNameOrigin, 'the vault itself', 'Every Azure Key Vault.'),
  KNOX_KMS_AWS_ACCOUNT_ID: variable(
    awsAccount,
    'that of the server’s own identity',
    'AWS account that tenants let at their role.',
  ),
  KNOX_KMS_GCP_PRINCIPAL: variable(
    gcpPrincipal,
    'that of the server’s own identity',
    'Service account or `principal://…` that tenants let at theirs.',
  ),
  AZURE_CLIENT_ID: variable(
    plainText,
    'the only one',
    'Which managed identity of the machine the server is, or whose token the next names.',
  ),
  AZURE_TENANT_ID: variable(plainText, 'none', 'Its directory; needed with the next alone.'),
  AZURE_FEDERATED_TOKEN_FILE: variable(
    plainText,
    'none',
    'File of a token that proves the identity, as AKS mounts it; without it a managed identity.',
  ),
  KNOX_KMS_SHARED_KEYS: variable(
    oneOf('on', 'off'),
    '`off`',
    '`on`: several tenants may name the same KMS key, role or service account. A tenant could then use a neighbour’s grant.',
  ),
};

export type VariableName = keyof typeof VARIABLES;
export type VariableValue<Name extends VariableName> =
  (typeof VARIABLES)[Name] extends Variable<infer T> ? T : never;

/**
 * Variables of the contract that this version does not carry out, with the values that ask for nothing more than it
 * does. Any other value stops the start: an operator who sets one relies on it (decision 0003).
 */
export const NOT_CARRIED_OUT: Readonly<Record<string, readonly string[]>> = {
  KNOX_DEPLOYMENT_MODE: ['self_hosted'],
  KNOX_STRICT_TAMPER_CHECK: ['off'],
};

/** Azure client secrets (contract README §8): a KMS configuration names one; of a tenant's, the slug is part of the name. */
export const KMS_SECRET_PREFIX = 'KNOX_TENANT_KMS_';
