import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { isAppError, notFound } from '../../kernel/errors.js';
import { type IdSource, isUuid, modeOf, type Scope, type TenantId } from '../../kernel/ids.js';
import { networkOf } from '../../kernel/ip-address.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256Hex } from '../../platform/crypto/hashing.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import { createCountWindows } from '../../platform/limits/count-windows.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { TenantKeys } from '../kms/index.js';
import { loadX509, nameText, pem } from '../x509/index.js';
import type { Authorities, Authority, Ending } from './authorities.js';
import { createCertificateStore, type NewCertificate } from './certificate-store.js';
import { createChains } from './chains.js';
import { rootHasEnded, rootIsRetired, rootNotFound } from './errors.js';
import { issueLeaf } from './issue.js';
import { createAuthorityKeys } from './keys.js';
import { createRevocationLists } from './lists.js';
import { createOcspResponder, ocspTryLater } from './ocsp.js';
import { createAuthorityStore } from './store.js';
import { ENDED_KEPT_MS, LIST_HALF_LIFE_MS, SERIALS_MAX } from './terms.js';

export interface AuthoritiesDeps {
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

/** As it stands in addresses: 160 bits. */
const KEY_ID = /^[0-9a-f]{40}$/;
export const UPKEEP_JOB = 'authorities_upkeep';

export function createAuthorities(deps: AuthoritiesDeps): Authorities {
  const { db, clock, random, logger, jobs } = deps;
  const store = createAuthorityStore(db);
  const certificates = createCertificateStore(db);
  const keys = createAuthorityKeys(deps);
  const chains = createChains({ ...deps, store, keys });
  const lists = createRevocationLists({ db, clock, store, certificates, keys });
  const readers = createCountWindows(clock, {
    windowMs: LIMITS.pkiReadWindowMs,
    namesMax: LIMITS.rateLimitsKept,
  });
  const respond = createOcspResponder({ clock, store, certificates, keys });

  const isUnended = ({ notAfterMs }: Authority) => notAfterMs > clock.nowMs();

  /** That root, and those whose places were taken one by another, as far as they have not ended. */
  async function rootsOf(scope: Scope, nameOrId: string): Promise<Authority[]> {
    const [root] = await store.findRoots(scope, nameOrId);
    if (!root) throw rootNotFound();
    const all = new Map((await store.findRoots(scope, root.name)).map((one) => [one.id, one]));
    const roots = [root];
    for (let former = root.formerRootId; former !== null; ) {
      const found = all.get(former);
      all.delete(former);
      if (found && isUnended(found)) roots.push(found);
      former = found?.formerRootId ?? null;
    }
    return roots;
  }

  async function findPublic(tenantId: TenantId, id: string) {
    if (!isUuid(tenantId) || !isUuid(id)) return undefined;
    for (const sandbox of [false, true]) {
      const scope = { tenantId, sandbox };
      const root = await store.find(scope, id);
      if (root) return { scope, root };
    }
    return undefined;
  }

  /** Of whichever authority. */
  async function findByAddress(tenantId: TenantId, rootId: string, keyId: string) {
    if (!isUuid(tenantId) || !isUuid(rootId) || !KEY_ID.test(keyId)) return undefined;
    for (const sandbox of [false, true]) {
      const scope = { tenantId, sandbox };
      const authority = await store.findByKeyId(scope, rootId, keyId);
      if (authority) return { scope, authority };
    }
    return undefined;
  }

  async function keepUp(scope: Scope, id: string): Promise<void> {
    const authority = await store.find(scope, id);
    if (!authority) return;
    const isDue = authority.renewAtMs !== null && authority.renewAtMs < clock.nowMs();
    if (authority.status === 'active' && isDue) await renewIssuing(scope, authority);
    if (isUnended(authority)) await lists.renew(scope, authority);
  }

  async function renewIssuing(scope: Scope, { rootId }: Authority): Promise<void> {
    const root = await store.find(scope, rootId);
    if (root && isUnended(root)) await chains.current(scope, rootId);
  }

  /** What fails of one is tried again with the next round, and keeps no other waiting. */
  async function keepUpOrSay(scope: Scope, id: string): Promise<void> {
    const where = { tenant_id: scope.tenantId, mode: modeOf(scope), authority_id: id };
    try {
      await keepUp(scope, id);
    } catch (error) {
      if (isAppError(error, 'tenant_sealed'))
        logger.warn(where, 'the revocation list of a sealed tenant is not renewed');
      else logger.error({ ...where, err: error }, 'an authority is not renewed, or its revocation list');
    }
  }

  async function rootNameOf(known: Map<string, string>, scope: Scope, id: string): Promise<string> {
    const name = known.get(id) ?? (await store.find(scope, id))?.name ?? '';
    known.set(id, name);
    return name;
  }

  return {
    prepareRoot: (scope, terms) => chains.prepareRoot(scope, terms),
    listRoots: (scope, tx) => store.listRoots(scope, tx),
    findRoot: async (scope, nameOrId, tx) => (await store.findRoots(scope, nameOrId, tx))[0],

    async findPublic(tenantId, rootId) {
      const found = await findPublic(tenantId, rootId);
      return found?.root.kind === 'root' ? found : undefined;
    },

    rotateIssuing: (actor, scope, rootId, alongside) => chains.rotate(actor, scope, rootId, alongside),
    retire: (tx, scope, rootId) => store.retireRoot(tx, scope, rootId),

    async prepareCertificate(scope, rootId, terms) {
      const { root, issuing } = await chains.current(scope, rootId);
      if (!isUnended(issuing)) throw rootHasEnded();
      const x509 = await loadX509();
      const { lifeMs, publicKey } = terms;
      const request = { x509, random, nowMs: clock.nowMs(), lifeMs, publicKey };
      const issuer = chains.issuerOf(scope, issuing);
      const issued = await keys.use(scope, issuing, (sign) => issueLeaf(terms, request, issuer, sign));
      const { serial, notBeforeMs, notAfterMs, der } = issued;
      const subject = nameText(issued.subject);
      const row: NewCertificate = {
        ...{ serial, rootId, authorityId: issuing.id, subject, notBeforeMs, notAfterMs, der },
        ...{ dns: terms.dns, ips: terms.ips, role: terms.role ?? null },
        ...{ clientId: terms.clientId ?? null, acmeAccountId: terms.acmeAccountId ?? null },
      };
      return {
        ...{ serial, subject, notBeforeMs, notAfterMs, der, issuing, root },
        sha256Thumbprint: sha256Hex(der),
        async record(tx) {
          if ((await store.statusOf(tx, scope, rootId)) !== 'active') throw rootIsRetired();
          await certificates.insert(tx, scope, row, clock.nowMs());
        },
      };
    },

    async revoke(tx, scope, { rootId, serials: given, reason, reasonText = null }) {
      assert(given.length <= SERIALS_MAX, 'too many serials at once');
      if (given.length === 0) return { known: 0, revoked: 0 };
      const serials = given.map((serial) => serial.toLowerCase());
      const known = await certificates.countKnown(tx, scope, serials, rootId);
      const change = { serials, rootId, reason, reasonText };
      const authorityIds = await certificates.revoke(tx, scope, change, clock.nowMs());
      for (const id of new Set(authorityIds)) {
        const count = authorityIds.filter((one) => one === id).length;
        await store.addRevocations(tx, scope, id, count);
      }
      if (authorityIds.length > 0) tx.afterCommit(() => jobs.wake(UPKEEP_JOB));
      return { known, revoked: authorityIds.length };
    },

    findCertificate: (scope, rootId, serial, tx) =>
      certificates.find(scope, rootId, serial.toLowerCase(), tx),
    listCertificates: (scope, rootId, query) => certificates.list(scope, rootId, query, clock.nowMs()),

    async listEnding({ of, afterMs, untilMs, rowsMax, behind = { notAfterMs: afterMs, id: '' } }) {
      const window = { afterMs, untilMs };
      if (of === 'roots') {
        const rows = await store.listEndingRoots(window, behind, rowsMax);
        return rows.map(({ scope, root }) => endingOf(scope, root));
      }
      const names = new Map<string, string>();
      const found: Ending[] = [];
      for (const row of await certificates.listEnding(window, behind, rowsMax))
        found.push({ ...row, rootName: await rootNameOf(names, row.scope, row.rootId) });
      return found;
    },

    async rootsPem(scope, nameOrId) {
      const roots = await rootsOf(scope, nameOrId);
      return roots.map(({ certificate }) => pem('CERTIFICATE', certificate)).join('');
    },

    async listsPem(scope, nameOrId) {
      const roots = await rootsOf(scope, nameOrId);
      const families = await Promise.all(roots.map(({ id }) => store.listOfRoot(scope, id)));
      const inOrder = families
        .flat()
        .filter(isUnended)
        .toSorted((a, b) => Number(a.kind === 'root') - Number(b.kind === 'root'));
      const texts: string[] = [];
      for (const authority of inOrder) texts.push(pem('X509 CRL', await lists.read(scope, authority)));
      return texts.join('');
    },

    async list(tenantId, rootId, keyId) {
      const found = await findByAddress(tenantId, rootId, keyId);
      if (!found) throw notFound('Revocation list');
      return lists.read(found.scope, found.authority);
    },

    ocsp: async (tenantId, rootId, keyId, request) =>
      respond(await findByAddress(tenantId, rootId, keyId), request),
    ocspTryLater,

    admitReader(ip) {
      const window = readers(networkOf(ip));
      if (window.count >= LIMITS.pkiReadsPerNetworkMax) return window.leftMs();
      window.count++;
      return null;
    },

    async upkeep(afterId, rowsMax) {
      const nowMs = clock.nowMs();
      const due = { nowMs, staleMs: nowMs - LIST_HALF_LIFE_MS };
      const rows = await store.listDue(due, afterId, rowsMax);
      for (const { scope, id } of rows) await keepUpOrSay(scope, id);
      return { rows: rows.length, nextId: rows.length < rowsMax ? null : rows.at(-1)!.id };
    },

    async removeEnded(rowsMax) {
      const beforeMs = clock.nowMs() - ENDED_KEPT_MS;
      const removed = await db.transaction((tx) => certificates.removeEnded(tx, beforeMs, rowsMax));
      if (removed >= rowsMax) return removed;
      return removed + (await db.transaction((tx) => store.removeEnded(tx, beforeMs, rowsMax - removed)));
    },

    close: () => keys.close(),
  };
}

function endingOf(scope: Scope, { id, name, subject, notBeforeMs, notAfterMs }: Authority): Ending {
  const nobodys = { role: null, clientId: null, acmeAccountId: null };
  return {
    scope,
    id,
    rootId: id,
    rootName: name,
    subject: nameText(subject),
    ...nobodys,
    notBeforeMs,
    notAfterMs,
  };
}
