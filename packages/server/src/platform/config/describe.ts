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
  const shown = shownValues(config);
  return (Object.keys(VARIABLES) as VariableName[]).map((variable) => ({
    variable,
    value: shown[variable],
    from: source[variable]?.trim() ? 'environment' : source[`${variable}_FILE`]?.trim() ? 'file' : 'default',
  }));
}

function shownValues(config: Config): Record<VariableName, string> {
  const { listen, hosts, egress, storage, rootKey } = config;
  return {
    MASTER_KEY_B64: rootKey.kind === 'value' ? String(rootKey.key) : '(root key file)',
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
    KNOX_PLAN: config.bootstrap.plan,
    KNOX_PLAN_FILE: config.plans.filePath ?? '(none)',
    KNOX_OWNER_EMAIL: config.bootstrap.ownerEmail,
    KNOX_AUDIT_RETENTION_DAYS: String((config.audit.retentionMs ?? 0) / DAY_MS),
    KNOX_LOG_LEVEL: config.log.level,
    KNOX_SHUTDOWN_TIMEOUT_SECONDS: String(config.shutdownTimeoutMs / 1000),
    KNOX_DB_POOL_MAX: storage.kind === 'postgres' ? String(storage.poolMax) : '(SQLite)',
    KNOX_ALLOW_PRIVATE_UPSTREAMS: egress.allowPrivateUpstreams || '(none)',
    KNOX_DNS_SERVERS:
      egress.dnsServers?.map(({ address, port }) => httpHost(address, port)).join(',') ??
      '(/etc/resolv.conf)',
    KNOX_EXTRA_CA_FILE: egress.extraCaFile ?? '(none)',
    KNOX_EGRESS_NAT64: egress.nat64 ? 'on' : 'off',
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

export function httpOrigin(host: string, port: number): string {
  return `http://${httpHost(host, port)}`;
}
