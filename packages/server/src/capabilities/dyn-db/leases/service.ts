import { notFound } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import type { DynDbParts } from '../deps.js';
import { isMintedName } from '../statements/names.js';
import type { LeaseStatus } from '../tables.js';
import { ENDED, type Lease, LISTED } from './lease.js';
import { createMinting, type MintedCredential } from './mint.js';
import { createRenewal, type RenewedLease } from './renew.js';
import { createRevocation } from './revoke.js';
import type { LeaseChoice } from './store.js';

export interface LeaseListOptions {
  /** `all` has those that have ended too. */
  readonly status: 'live' | 'all';
  readonly connection?: string | undefined;
  readonly role?: string | undefined;
  readonly actor?: string | undefined;
  readonly state?: LeaseStatus | undefined;
  readonly limit: number;
  readonly offset: number;
}

export interface LeaseList {
  readonly leases: readonly Lease[];
  readonly total: number;
  readonly limit: number;
  readonly offset: number;
}

export interface Leases {
  mint(
    caller: Caller,
    connectionName: string,
    roleName: string,
    askedSeconds: number | null,
  ): Promise<MintedCredential>;
  list(caller: Caller, options: LeaseListOptions): Promise<LeaseList>;
  /** In any state. */
  get(caller: Caller, id: number): Promise<Lease>;
  renew(caller: Caller, id: number, askedSeconds: number | null): Promise<RenewedLease>;
  revoke(caller: Caller, id: number, options: { readonly force: boolean }): Promise<number>;
  revokeMany(caller: Caller, choice: LeaseChoice): Promise<number>;
  /** Users in the database that look like ours and are of no live lease. */
  orphans(caller: Caller, connectionName: string): Promise<readonly string[]>;
}

export function createLeases(parts: DynDbParts, timeMint: TimedMint): Leases {
  const { connections, leases, databases } = parts;
  const { revoke, revokeMany } = createRevocation(parts);
  const mint = createMinting(parts);

  return {
    mint: (...call) => timeMint(() => mint(...call)),
    renew: createRenewal(parts),
    revoke,
    revokeMany,

    async list(caller, { limit, offset, status, state, ...filter }) {
      const statuses = state === undefined ? (status === 'all' ? [...LISTED, ...ENDED] : LISTED) : [state];
      const found = await leases.list(caller.principal.scope, { ...filter, statuses }, { limit, offset });
      return { ...found, limit, offset };
    },

    async get(caller, id) {
      const lease = await leases.find(caller.principal.scope, id);
      if (!lease || lease.status === 'pending') throw notFound('Lease');
      return lease;
    },

    async orphans(caller, connectionName) {
      const { scope } = caller.principal;
      const connection = await connections.find(scope, connectionName);
      if (!connection) throw notFound('Connection');
      const told = await databases.use(scope, connection, (session) => session.mintedUsers());
      const found = told.filter(isMintedName).slice(0, LIMITS.mintedUsersMax);
      // Read after the database, so that a user made meanwhile has its lease.
      const live = await leases.liveUsernames(found);
      return found.filter((username) => !live.has(username)).sort();
    },
  };
}

export type TimedMint = <T>(act: () => Promise<T>) => Promise<T>;
