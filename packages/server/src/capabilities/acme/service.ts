import type { Clock } from '../../kernel/clock.js';
import type { IdSource, TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { cacheCounts } from '../../platform/cache/lru.js';
import { createSignatureVerifier } from '../../platform/crypto/jws.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Validation } from '../../platform/egress/validation.js';
import { type ResolvedHost, servesAt } from '../../platform/http/hosts.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { Instruments } from '../../platform/telemetry/instruments.js';
import type { Accounts } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Authorities } from '../authorities/index.js';
import type { TenantKeys } from '../kms/index.js';
import type { AcmeRole, Pki } from '../pki/index.js';
import { createAccountEnds } from './account-ends.js';
import { createAccountStore } from './account-store.js';
import { createAcmeAccounts } from './accounts.js';
import { createAcmeAuthorizations } from './authorizations.js';
import { type AcmeClients, createAcmeClients } from './clients/service.js';
import { type AcmeEndpoint, acmeEndpoints } from './endpoints.js';
import { createExternalKeys } from './external-keys.js';
import { createIssuance, type Issuance } from './issuance.js';
import { type AcmeKeys, createAcmeKeys } from './keys/service.js';
import { createNonces } from './nonces.js';
import { createOrderBounds } from './order-bounds.js';
import { createOrderStore } from './order-store.js';
import { createAcmeOrders } from './orders.js';
import { notAuthorized, notThere } from './problems.js';
import { createAcmeRevocations } from './revocations.js';
import { createSignedRequests } from './signed-requests.js';
import { type AcmeUrls, acmeUrls, type DirectoryPath, isDirectoryPath } from './urls.js';
import { createValidations, type Validations } from './validations.js';
import { directoryWire } from './wire.js';

/** What a request asks for a directory by. */
export interface DirectoryCall {
  readonly path: DirectoryPath;
  readonly host: ResolvedHost;
  readonly origin: string;
}

/** RFC 8555, for the roles that let ACME in (clients-pki.md §3.6). Everything throws `AcmeProblem`. */
export interface Acme {
  /** 404 for whatever is no directory. */
  directory(call: DirectoryCall): Promise<{ readonly target: AcmeRole; readonly urls: AcmeUrls }>;
  nonce(urls: AcmeUrls): string;
  /** The object that a client begins with. */
  describe(urls: AcmeUrls, target: AcmeRole): object;
  readonly endpoints: readonly AcmeEndpoint[];
  readonly validations: Validations;
  readonly issuance: Issuance;
  /** Of the management API. */
  readonly keys: AcmeKeys;
  readonly clients: AcmeClients;
  /** Forgets what ended long ago, so many of each kind; answers how many. */
  removeEnded(rowsMax: number): Promise<{ readonly rows: number; readonly hasMore: boolean }>;
}

export interface AcmeDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly rootKey: Secret<Buffer>;
  readonly instruments: Instruments;
  readonly tenants: Pick<Accounts, 'tenantById'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly jobs: Pick<Jobs, 'enqueue'>;
  readonly authorities: Pick<Authorities, 'findCertificate'>;
  readonly pki: Pick<Pki, 'issuing' | 'roles'>;
  readonly validation: Validation;
}

export function createAcme(deps: AcmeDeps): Acme {
  const { db, clock, tenants, instruments } = deps;
  const { issuing: pki, roles } = deps.pki;
  const accounts = createAccountStore(db);
  const orders = createOrderStore(db);
  const ends = createAccountEnds({ ...deps, accounts, orders });
  const nonces = createNonces(deps);
  const signatures = createSignatureVerifier({
    keysMax: LIMITS.acmeKeysKept,
    counts: cacheCounts(instruments, 'acme_keys'),
  });
  const externalKeys = createExternalKeys({ ...deps, accounts });
  const validations = createValidations({ ...deps, accounts, orders });
  const issuance = createIssuance({ db, clock, pki, accounts, orders });

  return {
    async directory({ path, host, origin }) {
      const tenantId = path.tenantId as TenantId;
      const target = isDirectoryPath(path)
        ? await pki.findAcmeRole(tenantId, path.rootId, path.roleId)
        : undefined;
      const tenant = target && (await tenants.tenantById(tenantId));
      // A host that is a tenant's, or of one mode, knows of no other (contract README §5).
      if (!target || !tenant || !servesAt(host, target.scope, tenant.slug)) throw notThere('Directory');
      if (tenant.subscriptionStatus === 'paused' || tenant.subscriptionStatus === 'cancelled')
        throw notAuthorized('The subscription of this tenant is not active');
      return { target, urls: acmeUrls(origin, path) };
    },

    nonce: (urls) => nonces.issue(urls.path),
    describe: (urls, { role }) => directoryWire(urls, { requiresExternalKey: role.acmeRequireEab }),
    endpoints: acmeEndpoints({
      clock,
      requests: createSignedRequests({ clock, nonces, signatures, accounts }),
      accounts: createAcmeAccounts({ ...deps, signatures, accounts, ends, externalKeys }),
      orders: createAcmeOrders({
        ...deps,
        pki,
        orders,
        bounds: createOrderBounds({ clock, orders }),
        issuance,
      }),
      authorizations: createAcmeAuthorizations({ ...deps, orders, validations }),
      revocations: createAcmeRevocations({ ...deps, pki, orders }),
    }),
    validations,
    issuance,
    keys: createAcmeKeys({ ...deps, roles, accounts, ends, externalKeys }),
    clients: createAcmeClients({ db, roles, accounts, ends }),

    async removeEnded(rowsMax) {
      const nowMs = clock.nowMs();
      const counts = [
        await accounts.removeNonces(nowMs, rowsMax),
        await orders.removeWindows(nowMs, rowsMax),
        await db.transaction((tx) => orders.removeEnded(tx, nowMs - LIMITS.acmeOrderKeptMs, rowsMax)),
        await accounts.removeEnded(nowMs - LIMITS.acmeAccountKeptMs, rowsMax),
      ];
      return { rows: counts.reduce((sum, count) => sum + count, 0), hasMore: counts.includes(rowsMax) };
    },
  };
}
