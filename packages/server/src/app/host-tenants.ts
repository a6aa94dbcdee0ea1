import { type Accounts, credentialGeneration, isSubscriptionActive } from '../capabilities/accounts/index.js';
import type { HostTenants } from '../capabilities/proxy/index.js';
import type { Generations } from '../platform/cache/generations.js';
import { createLru } from '../platform/cache/lru.js';

type HostTenant = Exclude<Awaited<ReturnType<HostTenants['bySlug']>>, undefined>;

interface Known {
  readonly tenant: HostTenant;
  readonly generation: number;
}

const TENANTS_KEPT = 10_000;

/** The tenants of called hosts, as their credentials are known: until a change of the tenant is committed anywhere. */
export function createHostTenants(
  accounts: Pick<Accounts, 'tenantBySlug'>,
  generations: Pick<Generations, 'current' | 'isFresh'>,
): HostTenants {
  const known = createLru<string, Known>({ entriesMax: TENANTS_KEPT, isFresh: () => generations.isFresh() });
  const generationOf = ({ id }: HostTenant) => generations.current(credentialGeneration(id));

  async function read(slug: string): Promise<HostTenant | undefined> {
    const found = await accounts.tenantBySlug(slug);
    if (found === undefined) return undefined;
    const generation = generationOf({ id: found.id, isActive: true });
    // Again, under the generation that is kept with it: what was read may be older than that.
    const again = await accounts.tenantBySlug(slug);
    if (again?.id !== found.id) return undefined;
    const tenant = { id: again.id, isActive: isSubscriptionActive(again.subscriptionStatus) };
    known.put(slug, { tenant, generation });
    return tenant;
  }

  return {
    bySlug(slug) {
      const kept = known.get(slug);
      if (kept !== undefined && generationOf(kept.tenant) === kept.generation) return kept.tenant;
      return read(slug);
    },
  };
}
