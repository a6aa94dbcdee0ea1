import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { AppError } from '../../kernel/errors.js';
import type { IdSource, Scope } from '../../kernel/ids.js';
import type { Actor } from '../../kernel/principal.js';
import type { Promisable } from '../../kernel/promisable.js';
import { createShare } from '../../kernel/share.js';
import { signAsAuthority } from '../../platform/crypto/certificate-signature.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import type { Random } from '../../platform/crypto/random.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { systemActor } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { loadX509, type Sign } from '../x509/index.js';
import { statusUrlsOf } from './addresses.js';
import { authorityEntry } from './audit.js';
import type { Authority, NewRoot, PreparedRoot } from './authorities.js';
import { rootHasEnded, rootIsRetired, rootNotFound, tooManyIssuing } from './errors.js';
import { type Issued, type Issuer, issueIssuing, issueRoot, nextList, type Request } from './issue.js';
import type { AuthorityKeys } from './keys.js';
import type { AuthorityStore, NewAuthority } from './store.js';
import { ISSUING_UNENDED_MAX } from './terms.js';

/** A root and what signs for it at present. */
export interface Chain {
  readonly root: Authority;
  readonly issuing: Authority;
}

/** Makes roots and issuing authorities, and new ones of these before they end. */
export interface Chains {
  prepareRoot(scope: Scope, terms: NewRoot): Promise<PreparedRoot>;
  /** Never inside a transaction: makes an issuing authority where one is due. 404, 409, 503 `tenant_sealed`. */
  current(scope: Scope, rootId: string): Promise<Chain>;
  rotate(actor: Actor, scope: Scope, rootId: string, alongside?: Alongside): Promise<Authority>;
  /** What stands of it in the certificates that it signs. */
  issuerOf(scope: Scope, authority: Authority): Issuer;
}

/** Belongs into the transaction of a change. */
export type Alongside = (tx: Transaction, issuing: Authority) => Promise<void>;

export interface ChainsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly store: AuthorityStore;
  readonly keys: AuthorityKeys;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** `KNOX_PUBLIC_URL`. */
  readonly publicUrl: string | null;
}

/** Lends what signs with the key of an issuer. */
type Lend = <T>(act: (sign: Sign) => T) => Promisable<T>;
/** What an authority is beside its certificate and key. */
type Place = Pick<NewAuthority, 'id' | 'kind' | 'rootId' | 'name' | 'keyAlgorithm'>;
/** What of an authority stands in what it certifies, stored or not. */
type Certifying = Pick<Authority, 'rootId' | 'keyId' | 'subject' | 'publicKey' | 'notAfterMs'>;

export function createChains(deps: ChainsDeps): Chains {
  const { db, clock, ids, random, store, keys, auditLogs, publicUrl } = deps;
  const share = createShare<void>();

  function issuerOf({ tenantId }: Scope, authority: Certifying): Issuer {
    const { subject, publicKey, notAfterMs } = authority;
    return { subject, publicKey, notAfterMs, statusUrls: statusUrlsOf(publicUrl, tenantId, authority) };
  }

  /** Its key is sealed when this returns, and lent to `further` before that. */
  async function make<T>(
    scope: Scope,
    place: Place,
    certify: (request: Omit<Request, 'lifeMs'>, own: Sign) => Promisable<Issued>,
    further: (made: NewAuthority, lend: Lend) => Promise<T>,
  ): Promise<T> {
    const x509 = await loadX509();
    const { privateKey, publicKey } = await newKeyPair(place.keyAlgorithm, scope.tenantId);
    try {
      const sign: Sign = (message) => signAsAuthority(privateKey, message);
      const nowMs = clock.nowMs();
      const { der, ...issued } = await certify({ x509, random, nowMs, publicKey }, sign);
      const list = nextList(x509, { ...issued, publicKey, revocations: 0 }, 1, [], nowMs, sign);
      const made: NewAuthority = {
        ...place,
        ...issued,
        keyId: x509.keyIdOf(publicKey).toString('hex'),
        publicKey,
        keyEnvelope: await keys.seal(scope, place.id, privateKey),
        certificate: der,
        createdAtMs: nowMs,
        issuingLives: null,
        renewAtMs: null,
        formerRootId: null,
        list,
      };
      return await further(made, (act) => act(sign));
    } finally {
      privateKey.fill(0);
    }
  }

  async function makeIssuing(
    scope: Scope,
    root: NewAuthority | Authority,
    lend: Lend,
  ): Promise<NewAuthority> {
    const { name, keyAlgorithm, rootId, issuingLives } = root;
    assert(issuingLives, 'a root says how its issuing authorities live');
    const { issuingMs: lifeMs, issuingLeftMinMs } = issuingLives;
    const place: Place = { id: ids.uuid(), kind: 'issuing', rootId, name, keyAlgorithm };
    const issuer = issuerOf(scope, root);
    const issuing = await make(
      scope,
      place,
      (request) => lend((sign) => issueIssuing({ ...request, lifeMs }, issuer, sign)),
      async (made) => made,
    );
    // None that would come after it could end later.
    const isLast = issuing.notAfterMs === root.notAfterMs;
    return { ...issuing, renewAtMs: isLast ? null : issuing.notAfterMs - issuingLeftMinMs };
  }

  async function prepareRoot(scope: Scope, terms: NewRoot): Promise<PreparedRoot> {
    const { name, subject, keyAlgorithm, replaces } = terms;
    const { rootMs: lifeMs, ...issuingLives } = terms.lives;
    const id = ids.uuid();
    const made = await make(
      scope,
      { id, kind: 'root', rootId: id, name, keyAlgorithm },
      (request, own) => issueRoot(subject, { ...request, lifeMs }, own),
      async (bare, lend) => {
        const root = { ...bare, issuingLives, formerRootId: replaces?.id ?? null };
        return { root, issuing: await makeIssuing(scope, root, lend) };
      },
    );
    return {
      root: asStored(made.root),
      issuing: asStored(made.issuing),
      async record(tx) {
        if (replaces) await store.retireRoot(tx, scope, replaces.id);
        await store.insert(tx, scope, made.root);
        await store.insert(tx, scope, made.issuing);
      },
    };
  }

  /** What may sign at this moment. */
  async function usableRoot(scope: Scope, rootId: string): Promise<Authority> {
    const root = await store.find(scope, rootId);
    if (root?.kind !== 'root') throw rootNotFound();
    if (root.status !== 'active') throw rootIsRetired();
    if (root.notAfterMs <= clock.nowMs()) throw rootHasEnded();
    return root;
  }

  /** `formerId`: only in the place of that one; what another process has put there meanwhile stays. */
  async function replaceIssuing(
    actor: Actor,
    scope: Scope,
    root: Authority,
    formerId: string | null,
    alongside?: Alongside,
  ): Promise<Authority> {
    const issuing = await makeIssuing(scope, root, (act) => keys.use(scope, root, act));
    const stored = asStored(issuing);
    await db.transaction(async (tx) => {
      const active = await store.listActive(scope, root.id, tx);
      if (!active.some(({ kind }) => kind === 'root')) throw rootIsRetired();
      const former = active.find(({ kind }) => kind === 'issuing');
      if (formerId !== null && former?.id !== formerId) return;
      if (former) await store.retire(tx, scope, former.id);
      await store.insert(tx, scope, issuing);
      await auditLogs.record(tx, actor, authorityEntry('pki.intermediate.rotate', issuing));
      await alongside?.(tx, stored);
    });
    return stored;
  }

  async function renew(scope: Scope, root: Authority, former: Authority): Promise<void> {
    const actor = { ...systemActor(scope.tenantId), scope };
    try {
      await replaceIssuing(actor, scope, root, former.id);
    } catch (error) {
      // One active issuing authority of a root: the other process has committed meanwhile.
      if (!(error instanceof UniqueViolation)) throw error;
    }
  }

  async function activeChain(scope: Scope, rootId: string): Promise<Chain> {
    const root = await usableRoot(scope, rootId);
    const active = await store.listActive(scope, rootId);
    const issuing = active.find(({ kind }) => kind === 'issuing');
    // Retired between the two reads.
    if (!issuing) throw rootIsRetired();
    return { root, issuing };
  }

  return {
    prepareRoot,

    async current(scope, rootId) {
      const chain = await activeChain(scope, rootId);
      const { renewAtMs } = chain.issuing;
      if (renewAtMs === null || renewAtMs >= clock.nowMs()) return chain;
      await share(rootId, () => renew(scope, chain.root, chain.issuing));
      return activeChain(scope, rootId);
    },

    async rotate(actor, scope, rootId, alongside) {
      const root = await usableRoot(scope, rootId);
      const unended = await store.countUnendedIssuing(scope, rootId, clock.nowMs());
      if (unended >= ISSUING_UNENDED_MAX) throw tooManyIssuing(ISSUING_UNENDED_MAX);
      try {
        return await replaceIssuing(actor, scope, root, null, alongside);
      } catch (error) {
        if (!(error instanceof UniqueViolation)) throw error;
        throw new AppError('conflict', 'Another issuing authority was made at the same time: try again');
      }
    },

    issuerOf,
  };
}

function asStored({ list, ...authority }: NewAuthority): Authority {
  const { der: _, ...state } = list;
  return { ...authority, status: 'active', revocations: 0, list: state };
}
