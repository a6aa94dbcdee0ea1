import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { isAppError, notFound } from '../../kernel/errors.js';
import { type IdSource, isUuid, modeOf, type Scope, type TenantId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { publicKeyOf } from '../../platform/crypto/ecdsa.js';
import { sha256Hex } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import { newSigningKey } from '../../platform/crypto/signed-tokens.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import { loadX509, nameText, pem } from '../x509/index.js';
import { createChains } from './chains.js';
import type { ClientCa } from './client-ca.js';
import { issueClient } from './issue.js';
import { createAuthorityKeys } from './keys.js';
import { createRevocationLists } from './lists.js';
import { createOcspResponder, type OcspReply } from './ocsp.js';
import { type Authority, createClientCaStore } from './store.js';
import { CERTIFICATE_KEPT_MS, CLIENT_ROOT_NAME, ISSUING_LEFT_MS_MIN, LIST_HALF_LIFE_MS } from './terms.js';

/** What anybody may ask of an authority, and what its tenant sees of it. */
export interface ClientAuthorities extends ClientCa {
  /** The root that is in use; none before the first certificate. */
  roots(scope: Scope): Promise<Authority[]>;
  /** By `_clients` or id: that root, then those before it that have not ended, in PEM. 404 where there is none. */
  rootsPem(scope: Scope, nameOrId: string): Promise<string>;
  /**
   * Of the active issuing authority first, of every other that has not ended, and of the roots (clients-pki.md §3.4), in PEM. 404;
   * 503 `tenant_sealed` where a list is owed that cannot be signed.
   */
  listsPem(scope: Scope, nameOrId: string): Promise<string>;
  /** One of them in DER, for whoever knows its address. 404 and 503 alike. */
  list(tenantId: TenantId, rootId: string, keyId: string): Promise<Buffer>;
  /** Refusals are answers too (RFC 6960 §2.3), so that it never throws one. */
  ocsp(tenantId: TenantId, rootId: string, keyId: string, request: Buffer): Promise<OcspReply>;
  /** Renews chains and lists before they end, those behind `afterId`; answers where to go on, null at the end. */
  upkeep(
    afterId: string,
    rowsMax: number,
  ): Promise<{ readonly rows: number; readonly nextId: string | null }>;
  /** Forgets what ended long ago; answers how many. */
  removeEnded(rowsMax: number): Promise<number>;
  /** Zeroes every opened key. */
  close(): void;
}

export interface ClientAuthoritiesDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Logger;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly jobs: Pick<Jobs, 'wake'>;
  /** `KNOX_PUBLIC_URL`. */
  readonly publicUrl: string | null;
}

export const UPKEEP_JOB = 'client_ca_upkeep';
/** Of one change, and of one statement: more than a client can have (`LIMITS.clientCredentialsMax`). */
const SERIALS_MAX = 1_000;

export function createClientAuthorities(deps: ClientAuthoritiesDeps): ClientAuthorities {
  const { db, clock, random, logger, jobs } = deps;
  const store = createClientCaStore(db);
  const keys = createAuthorityKeys(deps);
  const chains = createChains({ ...deps, store, keys });
  const lists = createRevocationLists({ db, clock, store, keys });
  const respond = createOcspResponder({ clock, store, keys });

  /** The root in use and all authorities that have not ended, the newest first. */
  async function getRoot(scope: Scope, nameOrId: string) {
    const unended = (await store.listAuthorities(scope)).filter(
      ({ notAfterMs }) => notAfterMs > clock.nowMs(),
    );
    const root = unended.find(({ kind, isActive }) => kind === 'root' && isActive);
    if (!root || (nameOrId !== CLIENT_ROOT_NAME && nameOrId !== root.id)) throw notFound('Root');
    return unended.toSorted((a, b) => Number(b.isActive) - Number(a.isActive));
  }

  /** The address names no mode: ids are the same in none. */
  async function findPublic(tenantId: TenantId, rootId: string, keyId: string) {
    if (!isUuid(tenantId) || !isUuid(rootId)) return undefined;
    for (const sandbox of [false, true]) {
      const scope = { tenantId, sandbox };
      const authority = await store.findByKeyId(scope, rootId, keyId);
      if (authority) return { scope, authority };
    }
    return undefined;
  }

  async function renew(scope: Scope, id: string): Promise<void> {
    const authority = await store.findAuthority(scope, id);
    if (!authority) return;
    try {
      if (authority.isActive) await chains.current(scope);
      await lists.renew(scope, authority);
    } catch (error) {
      if (!isAppError(error, 'tenant_sealed')) throw error;
      const { tenantId } = scope;
      const where = { tenant_id: tenantId, mode: modeOf(scope), authority_id: id };
      logger.warn(where, 'the revocation list of a sealed tenant is not renewed');
    }
  }

  return {
    async prepare(scope, client) {
      const { root, issuing } = await chains.current(scope);
      const x509 = await loadX509();
      const key = newSigningKey().reveal();
      try {
        const request = { x509, random, nowMs: clock.nowMs(), publicKey: publicKeyOf(key) };
        const issuer = chains.issuerOf(scope, issuing);
        const issued = await keys.use(scope, issuing, (sign) => issueClient(client, request, issuer, sign));
        const { serial, notBeforeMs, notAfterMs, der } = issued;
        const row = { serial, authorityId: issuing.id, clientId: client.id, notAfterMs };
        return {
          serial,
          subject: nameText(issued.subject),
          sha256Thumbprint: sha256Hex(der),
          notBeforeMs,
          notAfterMs,
          certificatePem: pem('CERTIFICATE', der),
          caChainPem: pem('CERTIFICATE', issuing.certificate) + pem('CERTIFICATE', root.certificate),
          privateKeyPem: new Secret(pem('PRIVATE KEY', key)),
          record: (tx) => store.insertCertificate(tx, scope, row, clock.nowMs()),
        };
      } finally {
        key.fill(0);
      }
    },

    async revoke(tx, scope, serials, reason) {
      assert(serials.length <= SERIALS_MAX, 'too many serials at once');
      if (serials.length === 0) return 0;
      const folded = serials.map((serial) => serial.toLowerCase());
      const authorityIds = await store.revoke(tx, scope, folded, reason, clock.nowMs());
      for (const id of new Set(authorityIds)) {
        const count = authorityIds.filter((one) => one === id).length;
        await store.addRevocations(tx, scope, id, count);
      }
      if (authorityIds.length > 0) tx.afterCommit(() => jobs.wake(UPKEEP_JOB));
      return authorityIds.length;
    },

    async roots(scope) {
      const chain = await store.activeChain(scope);
      return chain ? [chain.root] : [];
    },

    async rootsPem(scope, nameOrId) {
      const authorities = await getRoot(scope, nameOrId);
      const roots = authorities.filter(({ kind }) => kind === 'root');
      return roots.map(({ certificate }) => pem('CERTIFICATE', certificate)).join('');
    },

    async listsPem(scope, nameOrId) {
      const authorities = await getRoot(scope, nameOrId);
      const inOrder = authorities.toSorted((a, b) => Number(a.kind === 'root') - Number(b.kind === 'root'));
      const texts: string[] = [];
      for (const authority of inOrder) texts.push(pem('X509 CRL', await lists.read(scope, authority)));
      return texts.join('');
    },

    async list(tenantId, rootId, keyId) {
      const found = await findPublic(tenantId, rootId, keyId);
      if (!found) throw notFound('Revocation list');
      return lists.read(found.scope, found.authority);
    },

    ocsp: async (tenantId, rootId, keyId, request) =>
      respond(await findPublic(tenantId, rootId, keyId), request),

    async upkeep(afterId, rowsMax) {
      const nowMs = clock.nowMs();
      const due = { nowMs, staleMs: nowMs - LIST_HALF_LIFE_MS, renewMs: nowMs + ISSUING_LEFT_MS_MIN };
      const rows = await store.listDue(due, afterId, rowsMax);
      for (const { scope, id } of rows) await renew(scope, id);
      return { rows: rows.length, nextId: rows.length < rowsMax ? null : rows.at(-1)!.id };
    },

    removeEnded: (rowsMax) =>
      db.transaction((tx) => store.removeEnded(tx, clock.nowMs() - CERTIFICATE_KEPT_MS, rowsMax)),

    close: () => keys.close(),
  };
}
