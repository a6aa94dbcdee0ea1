import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { type IdSource, modeOf, type Scope } from '../../kernel/ids.js';
import type { Promisable } from '../../kernel/promisable.js';
import { createShare } from '../../kernel/share.js';
import { publicKeyOf, signEcdsa } from '../../platform/crypto/ecdsa.js';
import type { Random } from '../../platform/crypto/random.js';
import { newSigningKey } from '../../platform/crypto/signed-tokens.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import { systemActor } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { loadX509, type Sign } from '../x509/index.js';
import { statusUrlsOf } from './addresses.js';
import { authorityEntry } from './audit.js';
import { type Issued, type Issuer, issueIssuing, issueRoot, nextList } from './issue.js';
import type { AuthorityKeys } from './keys.js';
import type { Authority, Chain, ClientCaStore, NewAuthority } from './store.js';
import { ISSUING_LEFT_MS_MIN, ISSUING_LIFE_MS } from './terms.js';

/** The root and the issuing authority of each tenant and mode, made when they are needed and before they end. */
export interface Chains {
  /** One that outlives whatever is issued now. Never inside a transaction. 503 `tenant_sealed`. */
  current(scope: Scope): Promise<Chain>;
  /** What stands of it in the certificates that it signs. */
  issuerOf(scope: Scope, authority: Authority): Issuer;
}

export interface ChainsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly store: ClientCaStore;
  readonly keys: AuthorityKeys;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  /** `KNOX_PUBLIC_URL`. */
  readonly publicUrl: string | null;
}

/** Lends what signs with the key of an issuer. */
type Lend = <T>(act: (sign: Sign) => T) => Promisable<T>;

export function createChains(deps: ChainsDeps): Chains {
  const { db, clock, ids, random, store, keys, auditLogs, publicUrl } = deps;
  const share = createShare<Chain>();

  const leftMs = ({ notAfterMs }: Authority) => notAfterMs - clock.nowMs();

  function issuerOf({ tenantId }: Scope, authority: Authority | NewAuthority): Issuer {
    const { subject, publicKey } = authority;
    return { subject, publicKey, statusUrls: statusUrlsOf(publicUrl, tenantId, authority) };
  }

  async function authorityOf(
    scope: Scope,
    root: NewAuthority | Authority | null,
    key: Buffer,
    issued: Issued,
  ) {
    const x509 = await loadX509();
    const id = ids.uuid();
    const publicKey = publicKeyOf(key);
    const { subject } = issued;
    const nowMs = clock.nowMs();
    return {
      id,
      kind: root ? 'issuing' : 'root',
      rootId: root?.rootId ?? id,
      keyId: x509.keyIdOf(publicKey).toString('hex'),
      serial: issued.serial,
      subject,
      publicKey,
      keyEnvelope: await keys.seal(scope, id, key),
      certificate: issued.der,
      notBeforeMs: issued.notBeforeMs,
      notAfterMs: issued.notAfterMs,
      createdAtMs: nowMs,
      list: nextList(x509, { subject, publicKey, revocations: 0 }, 1, [], nowMs, signerOf(key)),
    } satisfies NewAuthority;
  }

  async function makeIssuing(
    scope: Scope,
    root: Authority | NewAuthority,
    lend: Lend,
  ): Promise<NewAuthority> {
    const x509 = await loadX509();
    const key = newSigningKey().reveal();
    try {
      const request = { x509, random, nowMs: clock.nowMs(), publicKey: publicKeyOf(key) };
      const issuer = issuerOf(scope, root);
      const issued = await lend((sign) => issueIssuing(scope, request, issuer, sign));
      return await authorityOf(scope, root, key, issued);
    } finally {
      key.fill(0);
    }
  }

  async function makeBoth(scope: Scope): Promise<NewAuthority[]> {
    const x509 = await loadX509();
    const key = newSigningKey().reveal();
    try {
      const request = { x509, random, nowMs: clock.nowMs(), publicKey: publicKeyOf(key) };
      const root = await authorityOf(scope, null, key, issueRoot(scope, request, signerOf(key)));
      return [root, await makeIssuing(scope, root, (act) => act(signerOf(key)))];
    } finally {
      key.fill(0);
    }
  }

  async function renew(scope: Scope, former: Chain | undefined): Promise<Chain> {
    const root = former && leftMs(former.root) >= ISSUING_LIFE_MS ? former.root : null;
    const made = root
      ? [await makeIssuing(scope, root, (act) => keys.use(scope, root, act))]
      : await makeBoth(scope);
    try {
      await db.transaction(async (tx) => {
        const present = await store.activeChain(scope, tx);
        // Another process was first.
        if (present?.issuing.id !== former?.issuing.id) return;
        if (former) await store.retire(tx, scope, former.issuing.id);
        if (former && !root) await store.retire(tx, scope, former.root.id);
        for (const authority of made) {
          await store.insertAuthority(tx, scope, authority);
          const action = authority.kind === 'root' ? 'pki.root.create' : 'pki.intermediate.rotate';
          const actor = { ...systemActor(scope.tenantId), scope };
          await auditLogs.record(tx, actor, authorityEntry(action, authority));
        }
      });
    } catch (error) {
      // One active authority of each kind: the other process has committed meanwhile.
      if (!(error instanceof UniqueViolation)) throw error;
    }
    const chain = await store.activeChain(scope);
    assert(chain, 'the chain that was stored is there');
    return chain;
  }

  return {
    async current(scope) {
      const chain = await store.activeChain(scope);
      if (chain && leftMs(chain.issuing) >= ISSUING_LEFT_MS_MIN) return chain;
      return share(`${scope.tenantId}:${modeOf(scope)}`, () => renew(scope, chain));
    },
    issuerOf,
  };
}

function signerOf(key: Buffer): Sign {
  return (message) => signEcdsa(key, message);
}
