import { notFound } from '../../kernel/errors.js';
import { isUuid, type OAuthTokenId, type Scope } from '../../kernel/ids.js';
import type { Database } from '../../platform/storage/database.js';
import { createFamilyStore, type Family, type RefreshUse } from './tokens/family-store.js';
import { createTokenStore, type StoredToken } from './tokens/store.js';

export { type StoredToken, sourceColumnsOf } from './tokens/store.js';

/** Where a token came from and what came of it. */
export interface Lineage {
  readonly token: StoredToken;
  readonly family: Family | null;
  /** What it was exchanged for, the first one first, itself, and what was given in exchange for it. */
  readonly exchanges: readonly StoredToken[];
  /** Access tokens of its family. */
  readonly siblings: readonly StoredToken[];
  readonly refreshes: readonly RefreshUse[];
}

export type ReadLineage = (scope: Scope, id: string) => Promise<Lineage>;

/** Newest first kept, of each list. */
const SHOWN_MAX = 100;
const ANCESTORS_MAX = 20;

export function createLineage({ db }: { readonly db: Database }): ReadLineage {
  const tokens = createTokenStore(db);
  const families = createFamilyStore(db);

  async function ancestorsOf(scope: Scope, { parentTokenId }: StoredToken): Promise<StoredToken[]> {
    const ancestors: StoredToken[] = [];
    for (let id = parentTokenId; id !== null && ancestors.length < ANCESTORS_MAX; ) {
      const parent = await tokens.find(scope, id);
      if (!parent) break;
      ancestors.unshift(parent);
      id = parent.parentTokenId;
    }
    return ancestors;
  }

  return async (scope, id) => {
    const token = isUuid(id) ? await tokens.find(scope, id.toLowerCase() as OAuthTokenId) : undefined;
    if (!token) throw notFound('OAuth token');
    const { familyId } = token;
    const ancestors = await ancestorsOf(scope, token);
    const children = await tokens.listOfParent(scope, token.id, SHOWN_MAX);
    return {
      token,
      family: (familyId !== null && (await families.find(scope, familyId))) || null,
      exchanges: ancestors.length + children.length === 0 ? [] : [...ancestors, token, ...children],
      siblings: familyId === null ? [] : await tokens.listOfFamily(scope, familyId, SHOWN_MAX),
      refreshes: familyId === null ? [] : await families.listUses(scope, familyId, SHOWN_MAX),
    };
  };
}
