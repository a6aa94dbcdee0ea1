import { readFileSync } from 'node:fs';
import { dirname, join, parse as parsePath, resolve } from 'node:path';
import { isLoopbackHost } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import {
  DEFAULT_TIERS,
  type Plan,
  type PlanTiers,
  readTiers,
  withLogRetention,
} from '../../kernel/plan-tiers.js';
import type { Secret } from '../../kernel/secret.js';
import { EVERY_TARGET, type TargetEntry } from '../egress/database-targets.js';
import { privateUpstreamsProblem, validationTargetsProblem } from '../egress/private-upstreams.js';
import type { DnsServer } from '../egress/resolver.js';
import { sourceAddressesProblem } from '../egress/source-addresses.js';
import type { TrustedPeers } from '../http/read-source.js';
import { readTlsPairSync, type TlsFiles, TlsPairRefused } from '../http/tls-pair.js';
import type { LogLevel } from '../log/logger.js';
import type { StorageOptions } from '../storage/open-database.js';
import { type ConfigProblem, type Environment, type EnvironmentSource, readEnvironment } from './env.js';
import { type KmsConfig, kmsOf, operatorKmsProblems } from './kms-settings.js';
import {
  type MailSettings,
  mailOf,
  mailProblems,
  type SmsSettings,
  smsOf,
  smsProblems,
} from './mail-settings.js';
import { type CustomHost, RuleBroken } from './parsers.js';
import { codeOf } from './private-files.js';

export type StorageConfig =
  | { readonly kind: 'sqlite'; readonly path: string; readonly logPath: string }
  | { readonly kind: 'postgres'; readonly url: Secret<string>; readonly poolMax: number };

/** Callers come over TLS, which something in front of this listener ends. */
export function isBehindTls({ publicUrl }: Pick<Config['hosts'], 'publicUrl'>): boolean {
  return publicUrl?.startsWith('https:') ?? false;
}

/**
 * Callers reach the server by a name that leads to this machine from elsewhere: then a peer on loopback may be whatever
 * passes their calls on.
 */
export function hasPublicName({ baseDomain, publicUrl, customHosts }: Config['hosts']): boolean {
  const names = [baseDomain, ...customHosts.map(({ host }) => host)];
  if (publicUrl !== null) names.push(new URL(publicUrl).hostname);
  return isBehindTls({ publicUrl }) || !names.every(isLoopbackHost);
}

/** As the storage floor opens it: the one place where the database's password leaves its wrapping. */
export function storageOptions({ storage }: Config): StorageOptions {
  return storage.kind === 'sqlite' ? storage : { ...storage, url: storage.url.reveal() };
}

export type RootKeyConfig =
  | { readonly kind: 'value'; readonly key: Secret<Buffer> }
  | { readonly kind: 'file'; readonly path: string };

export interface TracingConfig {
  readonly endpoint: string;
  readonly sampler: 'always_on' | 'always_off' | 'traceidratio';
  readonly ratio: number;
}

/** Nested and immutable; every path is absolute. */
export interface Config {
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** A second listener on the same host; null = none. */
  readonly tls: (TlsFiles & { readonly port: number }) | null;
  readonly trustedPeers: TrustedPeers;
  readonly storage: StorageConfig;
  /** Null = rate limits of several processes are counted in the database. */
  readonly redisUrl: Secret<string> | null;
  readonly rootKey: RootKeyConfig;
  /** What signs admin tokens; null = made and kept in the database. */
  readonly tokenKey: Secret<Buffer> | null;
  /** The former one, while it is being changed. */
  readonly previousRootKey: Secret<Buffer> | null;
  readonly bootstrap: { readonly filePath: string | null; readonly ownerEmail: string; readonly plan: Plan };
  readonly plans: {
    readonly filePath: string | null;
    readonly tiers: PlanTiers;
    /** Already in the tiers; null = they keep their own. */
    readonly logRetentionDays: number | null;
  };
  readonly hosts: {
    readonly baseDomain: string;
    /** Null = the address that the server listens on, known once it does. */
    readonly publicUrl: string | null;
    readonly customHosts: readonly CustomHost[];
    /** `KNOX_WRAP_SUBDOMAINS`. */
    readonly hasWrapSubdomains: boolean;
  };
  readonly egress: {
    /** Entries as written; the egress guard parses them. */
    readonly allowPrivateUpstreams: string;
    /** `KNOX_EGRESS_SOURCE_ADDRESSES`, as written. */
    readonly sourceAddresses: string;
    /** Null = the servers of /etc/resolv.conf. */
    readonly dnsServers: readonly DnsServer[] | null;
    readonly extraCaFile: string | null;
    /** Certificates of that file, PEM. */
    readonly extraCaPem: string | null;
    readonly nat64: boolean;
    /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
    readonly areHttpWebhooksAllowed: boolean;
  };
  readonly acme: {
    /** Entries as written. */
    readonly validationTargets: string;
    readonly http01Port: number;
  };
  readonly kms: KmsConfig;
  readonly leaseWorker: { readonly isPaused: boolean };
  /** Of dynamic database credentials; these do not pass the egress guard (contract README §9). */
  readonly databaseTargets: {
    readonly allow: readonly TargetEntry[];
    /** Wins. */
    readonly deny: readonly TargetEntry[];
  };
  readonly signup: { readonly isOn: boolean };
  /** Null = what would be sent is printed in the log. */
  readonly mail: MailSettings | null;
  /** Null = alerts have no SMS. */
  readonly sms: SmsSettings | null;
  readonly dpop: { readonly iatWindowMs: number };
  /** Null = for ever. */
  readonly audit: { readonly retentionMs: number | null };
  readonly log: { readonly level: LogLevel };
  readonly metricsToken: Secret<string> | null;
  /** Null = no traces. Headers, certificates and the like the exporter reads from its own variables. */
  readonly tracing: TracingConfig | null;
  readonly shutdownTimeoutMs: number;
}

/** Every problem of the environment at once, each naming its variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly ConfigProblem[]) {
    super(problems.map(({ variable, rule }) => `${variable} ${rule}`).join('\n'));
  }
}

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

export function loadConfig(source: EnvironmentSource, workingDir: string): LoadedConfig {
  const { values, kmsSecrets, problems: found, warnings } = readEnvironment(source);
  const problems = [
    ...found,
    ...operatorKmsProblems(values, found),
    ...mailProblems(values, found),
    ...smsProblems(values, found),
  ];
  const extraCaPem = readExtraCa(values, workingDir, problems);
  const tiers = readPlanFile(values, workingDir, problems);
  const brokenRule = privateUpstreamsProblem(values.KNOX_ALLOW_PRIVATE_UPSTREAMS ?? '');
  if (brokenRule) problems.push({ variable: 'KNOX_ALLOW_PRIVATE_UPSTREAMS', rule: brokenRule });
  const targetsRule = validationTargetsProblem(values.KNOX_ACME_VALIDATION_TARGETS ?? '');
  if (targetsRule) problems.push({ variable: 'KNOX_ACME_VALIDATION_TARGETS', rule: targetsRule });
  const sourcesRule = sourceAddressesProblem(values.KNOX_EGRESS_SOURCE_ADDRESSES ?? '');
  if (sourcesRule) problems.push({ variable: 'KNOX_EGRESS_SOURCE_ADDRESSES', rule: sourcesRule });
  problems.push(...tlsProblems(values, workingDir), ...certificateHeaderProblems(values, found));
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: freezeDeep(configOf(values, kmsSecrets, workingDir, extraCaPem, tiers)), warnings };
}

function configOf(
  values: Environment,
  kmsSecrets: KmsConfig['secrets'],
  workingDir: string,
  extraCaPem: string | null,
  tiers: PlanTiers,
): Config {
  const dataDir = resolve(workingDir, values.KNOX_DATA_DIR ?? 'data');
  const logRetentionDays = values.KNOX_LOG_RETENTION_DAYS ?? null;
  const bootstrapFile = values.KNOX_BOOTSTRAP_FILE ?? join(dataDir, 'bootstrap.json');
  return {
    dataDir,
    listen: { host: values.KNOX_HOST ?? '127.0.0.1', port: values.KNOX_PORT ?? 8787 },
    tls: tlsOf(values, workingDir),
    trustedPeers: trustedPeersOf(values),
    storage: storageOf(values, workingDir, dataDir),
    redisUrl: values.REDIS_URL ?? null,
    rootKey: values.MASTER_KEY_B64
      ? { kind: 'value', key: values.MASTER_KEY_B64 }
      : { kind: 'file', path: resolve(workingDir, values.KNOX_ROOT_KEY_FILE ?? join(dataDir, 'root.key')) },
    tokenKey: values.KNOX_JWT_SIGNING_KEY ?? null,
    previousRootKey: values.MASTER_KEY_B64_PREVIOUS ?? null,
    bootstrap: {
      filePath: bootstrapFile === 'off' ? null : resolve(workingDir, bootstrapFile),
      ownerEmail: values.KNOX_OWNER_EMAIL ?? 'owner@localhost',
      plan: values.KNOX_PLAN ?? 'enterprise',
    },
    plans: {
      filePath: values.KNOX_PLAN_FILE ? resolve(workingDir, values.KNOX_PLAN_FILE) : null,
      tiers: logRetentionDays === null ? tiers : withLogRetention(tiers, logRetentionDays),
      logRetentionDays,
    },
    hosts: {
      baseDomain: values.KNOX_BASE_DOMAIN ?? 'localhost',
      publicUrl: values.KNOX_PUBLIC_URL ?? null,
      customHosts: values.KNOX_CUSTOM_HOSTS ?? [],
      hasWrapSubdomains: values.KNOX_WRAP_SUBDOMAINS === 'on',
    },
    egress: {
      allowPrivateUpstreams: values.KNOX_ALLOW_PRIVATE_UPSTREAMS ?? '',
      sourceAddresses: values.KNOX_EGRESS_SOURCE_ADDRESSES ?? '',
      dnsServers: values.KNOX_DNS_SERVERS?.length ? values.KNOX_DNS_SERVERS : null,
      extraCaFile: values.KNOX_EXTRA_CA_FILE ? resolve(workingDir, values.KNOX_EXTRA_CA_FILE) : null,
      extraCaPem,
      nat64: values.KNOX_EGRESS_NAT64 === 'on',
      areHttpWebhooksAllowed: values.KNOX_ALLOW_HTTP_WEBHOOKS === 'on',
    },
    acme: {
      validationTargets: values.KNOX_ACME_VALIDATION_TARGETS ?? '',
      http01Port: values.KNOX_ACME_HTTP01_PORT ?? 80,
    },
    kms: kmsOf(values, kmsSecrets),
    leaseWorker: { isPaused: values.KNOX_LEASE_WORKER_PAUSED === 'on' },
    databaseTargets: {
      allow: values.KNOX_DB_ALLOW_TARGETS ?? EVERY_TARGET,
      deny: values.KNOX_DB_DENY_TARGETS ?? [],
    },
    signup: { isOn: values.KNOX_SIGNUP === 'on' },
    mail: mailOf(values),
    sms: smsOf(values),
    dpop: { iatWindowMs: iatWindowMs(values) },
    audit: { retentionMs: retentionMs(values.KNOX_AUDIT_RETENTION_DAYS ?? 365) },
    log: { level: values.KNOX_LOG_LEVEL ?? 'info' },
    metricsToken: values.KNOX_METRICS_TOKEN ?? null,
    tracing: tracingOf(values),
    shutdownTimeoutMs: (values.KNOX_SHUTDOWN_TIMEOUT_SECONDS ?? 10) * 1000,
  };
}

const DAY_MS = 86_400_000;

function retentionMs(days: number): number | null {
  return days === 0 ? null : days * DAY_MS;
}

function iatWindowMs({ KNOX_DPOP_IAT_WINDOW_SECONDS: seconds }: Environment): number {
  return seconds === undefined ? LIMITS.dpopIatWindowMs : seconds * 1000;
}

function tlsOf(values: Environment, workingDir: string): Config['tls'] {
  const { KNOX_TLS_CERT_FILE: cert, KNOX_TLS_KEY_FILE: key, KNOX_TLS_PORT: port = 8443 } = values;
  if (cert === undefined || key === undefined) return null;
  return { certFile: resolve(workingDir, cert), keyFile: resolve(workingDir, key), port };
}

/** Both files or neither, and a port of nothing is a mistake (contract README §8). */
function tlsProblems(values: Environment, workingDir: string): ConfigProblem[] {
  const [cert, key] = ['KNOX_TLS_CERT_FILE', 'KNOX_TLS_KEY_FILE'] as const;
  const missing = [cert, key].filter((name) => values[name] === undefined);
  if (missing.length === 2) {
    const isPortAlone = values.KNOX_TLS_PORT !== undefined;
    return isPortAlone ? [{ variable: 'KNOX_TLS_PORT', rule: `needs ${cert} and ${key}` }] : [];
  }
  if (missing[0])
    return [{ variable: missing[0], rule: `is needed beside ${missing[0] === cert ? key : cert}` }];
  try {
    readTlsPairSync(tlsOf(values, workingDir)!);
    return [];
  } catch (error) {
    if (!(error instanceof TlsPairRefused)) throw error;
    return [{ variable: error.of === 'key' ? key : cert, rule: error.rule }];
  }
}

function trustedPeersOf(values: Environment): TrustedPeers {
  const { KNOX_CLIENT_CERT_HEADER: name, KNOX_CLIENT_CERT_FORMAT: format } = values;
  const proxies = values.KNOX_TRUSTED_PROXIES ?? [];
  const peers = values.KNOX_CLIENT_CERT_PEERS ?? proxies;
  return { proxies, certificateHeader: name && format ? { name, format, peers } : null };
}

/** A header that nobody may send would be a setting without an effect (decision 0003). What is badly written is not missing. */
function certificateHeaderProblems(values: Environment, found: readonly ConfigProblem[]): ConfigProblem[] {
  const [header, format, peers] = [
    'KNOX_CLIENT_CERT_HEADER',
    'KNOX_CLIENT_CERT_FORMAT',
    'KNOX_CLIENT_CERT_PEERS',
  ] as const;
  const together: readonly string[] = [header, format, peers, 'KNOX_TRUSTED_PROXIES'];
  if (found.some(({ variable }) => together.includes(variable))) return [];
  const isSet = (name: keyof Environment) => values[name] !== undefined;
  if (isSet(header) !== isSet(format)) {
    const [given, missing] = isSet(header) ? [header, format] : [format, header];
    return [{ variable: missing, rule: `is needed beside ${given}` }];
  }
  if (isSet(peers) && !isSet(header)) return [{ variable: peers, rule: `needs ${header} and ${format}` }];
  const isUnused = isSet(header) && trustedPeersOf(values).certificateHeader?.peers.length === 0;
  return isUnused
    ? [{ variable: header, rule: `needs peers that may send it: ${peers} or KNOX_TRUSTED_PROXIES` }]
    : [];
}

function tracingOf(values: Environment): TracingConfig | null {
  const collector = values.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/?$/, '/v1/traces');
  const endpoint = values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? collector;
  const isOff = values.OTEL_SDK_DISABLED === 'true' || values.OTEL_TRACES_EXPORTER === 'none';
  if (endpoint === undefined || isOff) return null;
  const sampler = values.OTEL_TRACES_SAMPLER ?? 'always_on';
  return {
    endpoint,
    sampler: sampler.replace('parentbased_', '') as TracingConfig['sampler'],
    ratio: values.OTEL_TRACES_SAMPLER_ARG ?? 1,
  };
}

function storageOf(values: Environment, workingDir: string, dataDir: string): StorageConfig {
  const address = values.DATABASE_URL;
  if (address?.kind === 'postgres') {
    return { kind: 'postgres', url: address.url, poolMax: values.KNOX_DB_POOL_MAX ?? 10 };
  }
  return sqliteStorage(address ? resolve(workingDir, address.path) : join(dataDir, 'knox.db'));
}

/** The request log has a file of its own beside the main one. */
export function sqliteStorage(path: string): Extract<StorageConfig, { kind: 'sqlite' }> {
  const { name, ext } = parsePath(path);
  return { kind: 'sqlite', path, logPath: join(dirname(path), `${name}-log${ext}`) };
}

function readExtraCa(values: Environment, workingDir: string, problems: ConfigProblem[]): string | null {
  const variable = 'KNOX_EXTRA_CA_FILE';
  if (values[variable] === undefined) return null;
  const path = resolve(workingDir, values[variable]);
  try {
    const pem = readFileSync(path, 'utf8');
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem;
    problems.push({ variable, rule: `${path} holds no PEM certificate` });
  } catch (error) {
    problems.push({ variable, rule: `cannot read ${path} (${codeOf(error)})` });
  }
  return null;
}

const PLAN_FILE_BYTES_MAX = 64 * 1024;

function readPlanFile(values: Environment, workingDir: string, problems: ConfigProblem[]): PlanTiers {
  const variable = 'KNOX_PLAN_FILE';
  if (values[variable] === undefined) return DEFAULT_TIERS;
  const path = resolve(workingDir, values[variable]);
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > PLAN_FILE_BYTES_MAX) throw new RuleBroken(`${path} is larger than 64 KiB`);
    const reading = readTiers(JSON.parse(text));
    if ('tiers' in reading) return reading.tiers;
    problems.push(...reading.problems.map((problem) => ({ variable, rule: `${path}: ${problem}` })));
  } catch (error) {
    const rule =
      error instanceof RuleBroken
        ? error.message
        : error instanceof SyntaxError
          ? `${path} is not JSON`
          : `cannot read ${path} (${codeOf(error)})`;
    problems.push({ variable, rule });
  }
  return DEFAULT_TIERS;
}

function freezeDeep<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (member !== null && typeof member === 'object' && Object.getPrototypeOf(member) === Object.prototype) {
      freezeDeep(member);
    }
  }
  return Object.freeze(value);
}
