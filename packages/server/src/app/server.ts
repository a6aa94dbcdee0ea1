import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { commitHook } from '../capabilities/audit-logs/index.js';
import { hasWrappedData } from '../capabilities/kms/index.js';
import { systemClock } from '../kernel/clock.js';
import type { TenantId } from '../kernel/ids.js';
import { type Config, isBehindTls, storageOptions } from '../platform/config/config.js';
import { codeOf, prepareDataDir, StartRefused } from '../platform/config/private-files.js';
import { systemIds, systemRandom } from '../platform/crypto/random.js';
import type { Egress } from '../platform/egress/egress.js';
import { createEgress } from '../platform/egress/guarded-fetch.js';
import { createValidation, type Validation } from '../platform/egress/validation.js';
import { createHosts } from '../platform/http/hosts.js';
import { createOrigins } from '../platform/http/origins.js';
import { closeHttpServer, createHttpServer } from '../platform/http/server.js';
import { openTlsListener, type TlsListener } from '../platform/http/tls-listener.js';
import { readTlsPair, TlsPairRefused } from '../platform/http/tls-pair.js';
import { startTlsReload, type TlsReload } from '../platform/http/tls-reload.js';
import { openRedisCounter } from '../platform/limits/redis-counter.js';
import { type Logger, openStdoutLogger } from '../platform/log/logger.js';
import { createLogMailer, type Mailer } from '../platform/mail/mail.js';
import { lockDataDir } from '../platform/storage/lock.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { createInstruments, type Instruments } from '../platform/telemetry/instruments.js';
import type { Tracing } from '../platform/telemetry/tracing.js';
import { hooksPath } from './apis/hooks-api.js';
import { bootstrapInstallation } from './bootstrap.js';
import { expireBootstrapFile, removeBootstrapFileOf } from './bootstrap-file.js';
import { closersOf } from './closers.js';
import { registerHttpApis } from './http-apis.js';
import { loadRootKey, openKeys, prepareInstallation } from './installation.js';
import { jobDefinitions } from './jobs.js';
import { MIGRATIONS } from './migrations.js';
import { kmsSettings, privateUpstreams } from './operator-kms.js';
import { ownEndpoints } from './own-endpoints.js';
import { urlOf } from './self-check.js';
import { createServices } from './services.js';
import type { RunningServer, StartHooks } from './start.js';
import { targetDatabases } from './target-databases.js';
import { addBuildInfo, serverMetrics } from './telemetry.js';

const clock = systemClock;

/** Of the time that a stop may take; the rest is for the logs and the database. */
const DRAIN_SHARE = 0.7;

/** Lock, database, keys, listener, first start. What was opened is closed again when a later step fails. */
export async function startServer(config: Config, hooks: StartHooks): Promise<RunningServer> {
  const closers: (() => unknown)[] = [];
  try {
    return await start(config, hooks, closers);
  } catch (error) {
    await closeInReverse(closers);
    throw error;
  }
}

async function start(config: Config, hooks: StartHooks, closers: (() => unknown)[]): Promise<RunningServer> {
  const { logger, requestLog, flush } = openStdoutLogger(config.log.level, clock);
  closers.push(flush);
  const instruments = createInstruments();
  addBuildInfo(instruments, hooks.version);
  const { db, rootKey } = await openInstallation(config, logger, instruments, closers);
  const kms = kmsSettings(config);
  const allowPrivateUpstreams = privateUpstreams(config);
  const egress = createEgress({ ...config.egress, allowPrivateUpstreams, ownNames: ownNames(config), clock });
  closers.push(() => egress.close());
  const counter = config.redisUrl ? await openRedisCounter({ url: config.redisUrl, clock, logger }) : null;
  closers.push(() => counter?.close());
  const mailer = await openMailer(config, logger);
  closers.push(() => mailer.stop());
  const { filePath, ownerEmail, plan } = config.bootstrap;
  // Where no variable says it, it is known once the server listens.
  let baseUrl = config.hosts.publicUrl ?? urlOf({ address: config.listen.host, port: config.listen.port });
  const services = createServices({
    db,
    clock,
    ids: systemIds,
    random: systemRandom,
    logger,
    rootKey,
    egress,
    areHttpWebhooksAllowed: config.egress.areHttpWebhooksAllowed,
    acmeValidation: acmeValidation(config, egress),
    kms,
    previousRootKey: config.previousRootKey,
    auditRetentionMs: config.audit.retentionMs,
    tiers: config.plans.tiers,
    counter,
    signIn: {
      tokenKey: config.tokenKey,
      hasSecureCookies: isBehindTls(config.hosts),
      onSignIn: ({ email }) => filePath && removeBootstrapFileOf(filePath, email, logger),
    },
    mailer,
    sms: config.sms,
    isSignupOn: config.signup.isOn,
    origins: createOrigins(config.hosts, () => baseUrl),
    hasWrapSubdomains: config.hosts.hasWrapSubdomains,
    publicUrl: config.hosts.publicUrl,
    dpop: config.dpop,
    instruments,
    targets: targetDatabases(config, egress, clock),
  });
  const previous = config.previousRootKey;
  const { deploymentId } = await openKeys({ ...services, rootKey, previous, logger });
  closers.push(...closersOf(services));
  await services.auditChain.start();
  await services.generations.start();

  const state = { isStopping: false };
  const tracing = await openTracing(config, hooks.version, logger);
  closers.push(() => tracing?.close());
  const metrics = serverMetrics(instruments);
  const { trustedPeers } = config;
  const app = createHttpServer({
    logger,
    requestLog,
    ids: systemIds,
    clock,
    metrics,
    instruments,
    tracing,
    trustedPeers,
    rewriteUrl: hooksPath(createHosts(config.hosts)),
  });
  const isStopping = () => state.isStopping;
  const proxyApi = await registerHttpApis(app, {
    config,
    db,
    services,
    deploymentId,
    instruments,
    isStopping,
  });
  closers.push(() => proxyApi.settled());
  let tls: OpenTls | null = null;
  closers.push(async () => {
    const drainMs = DRAIN_SHARE * config.shutdownTimeoutMs;
    const jobsStopped = services.jobs.stop(drainMs);
    tls?.reload.stop();
    await closeHttpServer(app, clock, drainMs, tls?.listener).finally(() => jobsStopped);
  });
  const addresses = await listen(app, config);
  tls = await listenTls(app, config, instruments);
  const tlsAddress = tls?.listener.address ?? null;
  egress.setOwnEndpoints(await ownEndpoints(tlsAddress ? [...addresses, tlsAddress] : addresses, config));

  baseUrl = config.hosts.publicUrl ?? urlOf(addresses[0]!);
  const firstStart = await bootstrapInstallation({
    filePath,
    hasTenants: () => services.accounts.hasTenants(),
    hasTenant: async (id) => (await services.accounts.tenantById(id as TenantId)) !== undefined,
    prepare: () =>
      prepareInstallation({ db, ids: systemIds, random: systemRandom, services, ownerEmail, plan, baseUrl }),
  });
  if (firstStart) hooks.onFirstStart(firstStart);
  if (config.leaseWorker.isPaused)
    logger.warn('KNOX_LEASE_WORKER_PAUSED is on: the users of database leases that are due stay');
  await services.jobs.start(jobDefinitions(services));
  const expiry = filePath ? expireBootstrapFile(filePath, clock) : null;
  closers.push(() => expiry?.cancel());
  return {
    addresses,
    tlsAddress,
    reload: tls?.reload.reload ?? null,
    bootstrapFile: expiry?.isPresent ? filePath : null,
    async close() {
      state.isStopping = true;
      await closeInReverse(closers);
    },
  };
}

/** The last opened is the first closed; a failure to close one must not keep the next open. */
async function closeInReverse(closers: (() => unknown)[]): Promise<void> {
  let failure: unknown = null;
  for (const close of closers.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== null) throw failure;
}

/** Loaded where an endpoint is configured; elsewhere no request knows of traces. */
async function openTracing({ tracing }: Config, version: string, logger: Logger): Promise<Tracing | null> {
  if (tracing === null) return null;
  const otlp = await import('../platform/telemetry/otlp-tracing.js');
  return otlp.openTracing({ ...tracing, version, logger, clock });
}

/** The library is loaded where a mail server is configured. */
async function openMailer({ mail, egress }: Config, logger: Logger): Promise<Mailer> {
  if (mail === null) return createLogMailer(logger);
  const { openSmtpMailer } = await import('../platform/mail/smtp.js');
  return openSmtpMailer({ ...mail, extraCa: egress.extraCaPem, clock, logger });
}

async function openInstallation(
  config: Config,
  logger: Logger,
  instruments: Instruments,
  closers: (() => unknown)[],
) {
  const { warning } = prepareDataDir(config.dataDir);
  if (warning) logger.warn(warning);
  // Whatever the database: two first starts would also write, and remove, each other's root key and bootstrap file.
  const lock = lockDataDir(config.dataDir);
  closers.push(() => lock.release());
  const db = await openDatabase(storageOptions(config), {
    migrations: MIGRATIONS,
    clock,
    logger,
    commitHook,
    instruments,
  });
  closers.push(() => db.close());
  const rootKey = await loadRootKey(config, systemRandom, () => hasWrappedData(db));
  return { db, rootKey };
}

/** The guard with a policy of its own (contract README §9). */
function acmeValidation(config: Config, egress: Egress): Validation {
  const { validationTargets: targets, http01Port } = config.acme;
  const { dnsServers, nat64 } = config.egress;
  const own = { ownNames: ownNames(config), isOwnEndpoint: egress.isOwnEndpoint };
  return createValidation({ clock, targets, http01Port, dnsServers, nat64, ...own });
}

/** Names under which callers reach this installation: a proxied call to one of them is a loop. */
function ownNames({ hosts }: Config): string[] {
  const names = hosts.customHosts.map(({ host }) => host);
  if (hosts.publicUrl) names.push(new URL(hosts.publicUrl).hostname);
  return [hosts.baseDomain, ...names];
}

async function listen(app: FastifyInstance, { listen: { host, port } }: Config): Promise<AddressInfo[]> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new StartRefused(`KNOX_HOST, KNOX_PORT: cannot listen on ${host} port ${port} (${codeOf(error)})`);
  }
  const addresses = app.addresses().filter((address) => typeof address !== 'string');
  app.logger.info({ addresses: addresses.map(({ address, port }) => ({ address, port })) }, 'listening');
  return addresses;
}

interface OpenTls {
  readonly listener: TlsListener;
  readonly reload: TlsReload;
}

/** The second listener, where it is configured, and the watch over its files. */
async function listenTls(
  app: FastifyInstance,
  { tls, listen: { host } }: Config,
  instruments: Instruments,
): Promise<OpenTls | null> {
  if (tls === null) return null;
  try {
    const pair = await readTlsPair(tls);
    const listener = await openTlsListener(app, { host, port: tls.port, pair, instruments });
    const { address, port } = listener.address;
    app.logger.info({ address, port }, 'listening for TLS');
    const { logger } = app;
    return { listener, reload: startTlsReload({ files: tls, pair, clock, logger, use: listener.use }) };
  } catch (error) {
    if (error instanceof TlsPairRefused)
      throw new StartRefused(`KNOX_TLS_CERT_FILE, KNOX_TLS_KEY_FILE: ${error.rule}`);
    throw new StartRefused(
      `KNOX_HOST, KNOX_TLS_PORT: cannot listen on ${host} port ${tls.port} (${codeOf(error)})`,
    );
  }
}
