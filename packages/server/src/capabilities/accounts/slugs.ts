import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { isTenantSlug } from '../../platform/http/hosts.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { slugsUsedUp, slugTaken } from './errors.js';
import { createAccountsStore } from './store.js';

/** The names of tenants: each stands in host names, in assertions of workloads and in the operator's variables. */
export function createSlugs({ db, clock }: { readonly db: Database; readonly clock: Clock }) {
  const store = createAccountsStore(db);

  return {
    /** Whose it is, or was lately. */
    async holderOf(slug: string, tx?: Transaction): Promise<TenantId | undefined> {
      return (await store.findSlugHolder(slug, tx)) ?? store.findKeptSlug(slug, clock.nowMs(), tx);
    },

    /** The tenant is called that from now on; the name that it gives up, if it had one, is kept from others. */
    async take(tx: Transaction, tenantId: TenantId, slug: string): Promise<void> {
      if (!isTenantSlug(slug))
        throw validationError(
          'slug',
          'must be lower-case letters, digits and inner hyphens, and no name that hosts have already',
        );
      const holder = await this.holderOf(slug, tx);
      if (holder !== undefined && holder !== tenantId) throw slugTaken();
      const former = await store.findSlug(tx, tenantId);
      if (former === undefined || former === slug) return;
      // Else one tenant takes every name from everybody, one after the other.
      const held = new Set([former, ...(await store.keptSlugsOf(tx, tenantId, clock.nowMs()))]);
      held.delete(slug);
      if (held.size > LIMITS.tenantSlugsKeptMax) throw slugsUsedUp();
      await this.keep(tx, tenantId, former);
    },

    async keep(tx: Transaction, tenantId: TenantId, slug: string): Promise<void> {
      await store.keepSlug(tx, tenantId, slug, clock.nowMs() + LIMITS.tenantSlugKeptMs);
    },
  };
}
