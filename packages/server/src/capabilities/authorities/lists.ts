import type { Clock } from '../../kernel/clock.js';
import { notFound } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { createTurns } from '../../kernel/share.js';
import type { Database } from '../../platform/storage/database.js';
import { loadX509 } from '../x509/index.js';
import type { Authority } from './authorities.js';
import type { CertificateStore } from './certificate-store.js';
import { nextList } from './issue.js';
import type { AuthorityKeys } from './keys.js';
import type { AuthorityStore } from './store.js';
import { LIST_HALF_LIFE_MS } from './terms.js';

/** The revocation lists of authorities: the last of each is stored, signed. */
export interface RevocationLists {
  /** Every revocation that has been committed is on it: the next one is signed first where it is owed. 503 `tenant_sealed`. */
  read(scope: Scope, authority: Authority): Promise<Buffer>;
  /** Signs the next one where it is owed, or the present one is half over. */
  renew(scope: Scope, authority: Authority): Promise<void>;
}

export interface RevocationListsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly store: AuthorityStore;
  readonly certificates: CertificateStore;
  readonly keys: AuthorityKeys;
}

export function createRevocationLists(deps: RevocationListsDeps): RevocationLists {
  const { db, clock, store, certificates, keys } = deps;
  // One that is under way may have been begun before the revocation that is asked for.
  const inTurn = createTurns<void>();

  const isOwed = ({ revocations, list }: Authority) => revocations > list.revocations;
  const isOver = ({ list }: Authority) => list.nextUpdateMs <= clock.nowMs();
  const isHalfOver = ({ list }: Authority) => list.thisUpdateMs + LIST_HALF_LIFE_MS <= clock.nowMs();

  async function sign(scope: Scope, id: string): Promise<void> {
    const x509 = await loadX509();
    for (;;) {
      // Its count of revocations is read before they are: a list may hold more than it says, never less.
      const authority = await store.find(scope, id);
      if (!authority || !(isOwed(authority) || isHalfOver(authority))) return;
      const revoked = await certificates.listRevoked(scope, id, authority.list.thisUpdateMs);
      const list = await keys.use(scope, authority, (signer) =>
        nextList(x509, authority, authority.list.number + 1, revoked, clock.nowMs(), signer),
      );
      const former = authority.list.number;
      // Where another process was first its list may hold all that is due: each turn of this loop is a list of another's.
      if (await db.transaction((tx) => store.replaceList(tx, scope, id, former, list))) return;
    }
  }

  return {
    async read(scope, authority) {
      const { id } = authority;
      if (isOwed(authority) || isOver(authority)) await inTurn(id, () => sign(scope, id));
      const list = await store.readList(scope, id);
      if (!list) throw notFound('Revocation list');
      return list;
    },

    async renew(scope, { id }) {
      await inTurn(id, () => sign(scope, id));
    },
  };
}
