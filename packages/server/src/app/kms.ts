import type { Accounts } from '../capabilities/accounts/index.js';
import type { AuditLogs } from '../capabilities/audit-logs/index.js';
import {
  createClouds,
  createKms,
  createRevocations,
  createRewraps,
  createSealedCount,
  createTenantKms,
  createVerification,
} from '../capabilities/kms/index.js';
import type { Generations } from '../platform/cache/generations.js';
import type { Jobs } from '../platform/jobs/jobs.js';
import type { Outbox } from '../platform/outbox/outbox.js';
import { ENVELOPE_COLUMNS } from './migrations.js';
import type { ServicesDeps } from './services-deps.js';
import { kmsCalls } from './telemetry.js';

interface KmsServicesDeps extends ServicesDeps {
  readonly generations: Generations;
  readonly jobs: Jobs;
  readonly outbox: Outbox;
  readonly auditLogs: AuditLogs;
  readonly accounts: Accounts;
}

/** The key hierarchy, the passes that follow its rotations, and tenants' own KMS. */
export function createKmsServices(deps: KmsServicesDeps) {
  const { db, clock, random, instruments, generations, auditLogs, accounts } = deps;
  const { operatorKey, endpoints, identities, azureWorkload, hasSharedKeys, secretOf } = deps.kms;
  // The measured guard times what the proxy's upstreams take; a KMS is none.
  const clouds =
    deps.clouds ??
    createClouds({
      clock,
      random,
      egress: deps.egress,
      endpoints,
      identities,
      azureWorkload,
      secretOf,
      onCall: kmsCalls(instruments),
    });
  const envelopeColumns = ENVELOPE_COLUMNS;
  const kms = createKms({
    ...deps,
    cloudProviders: clouds.providerOf,
    operatorKey,
    cacheCounts: {
      hits: instruments.counter('knox_master_key_cache_hits_total', 'Uses of a master key that was open.'),
      misses: instruments.counter('knox_master_key_cache_misses_total', 'Uses that had a master key opened.'),
    },
    envelopeColumns,
  });
  const rewraps = createRewraps({ ...deps, kms, envelopeColumns });
  const revocations = createRevocations({ db, clock, generations, auditLogs, rewraps });
  const { parts } = kms;
  instruments.gauge(
    'knox_tenants_sealed',
    'Tenants whose own key did not open when it was asked last, of the whole installation.',
    createSealedCount(clock, parts.configs),
  );
  const kmsVerification = createVerification({ db, clock, parts, generations, auditLogs });
  const tenantKms = createTenantKms({
    clock,
    parts,
    clouds,
    auditLogs,
    rewraps,
    verification: kmsVerification,
    accounts,
    operatorKey: operatorKey === 'given_up' ? null : operatorKey,
    hasSharedKeys,
  });
  return { clouds, kms, rewraps, revocations, kmsVerification, tenantKms };
}
