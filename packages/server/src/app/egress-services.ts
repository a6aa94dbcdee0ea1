import type { EgressAllowlist } from '../capabilities/egress-allowlist/index.js';
import { createEgressAllowlist, egressAllowlistRoutes } from '../capabilities/egress-allowlist/index.js';
import {
  createEgressServers,
  type EgressServers,
  egressServerRoutes,
} from '../capabilities/egress-servers/index.js';
import { cacheCounts } from '../platform/cache/lru.js';
import type { RouteDefinition } from '../platform/http/route.js';
import type { Instruments } from '../platform/telemetry/instruments.js';

type Deps = Omit<Parameters<typeof createEgressServers>[0], 'egressAllowlist' | 'cacheCounts'> & {
  readonly instruments: Instruments;
};

export interface EgressServices {
  readonly egressAllowlist: EgressAllowlist;
  readonly egressServers: EgressServers;
}

/** Where calls may go, and by what they leave. */
export function createEgressServices(deps: Deps): EgressServices {
  const { instruments } = deps;
  const egressAllowlist = createEgressAllowlist({
    ...deps,
    cacheCounts: cacheCounts(instruments, 'egress_allowlists'),
  });
  const egressServers = createEgressServers({
    ...deps,
    egressAllowlist,
    cacheCounts: cacheCounts(instruments, 'egress_servers'),
  });
  return { egressAllowlist, egressServers };
}

export function egressRoutes({ egressAllowlist, egressServers }: EgressServices): RouteDefinition[] {
  return [...egressAllowlistRoutes(egressAllowlist), ...egressServerRoutes(egressServers)];
}
