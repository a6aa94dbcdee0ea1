import { createDirectTransports, createEngines, createTargetPolicy } from '../capabilities/dyn-db/index.js';
import type { Clock } from '../kernel/clock.js';
import type { Config } from '../platform/config/config.js';
import type { Egress } from '../platform/egress/egress.js';
import { createResolver } from '../platform/egress/resolver.js';
import { createSystemNames } from '../platform/egress/system-names.js';
import type { TargetDatabases } from './services-deps.js';

/** The databases that credentials are minted for, as the server reaches them. */
export function targetDatabases(
  { leaseWorker, databaseTargets, egress: { dnsServers, extraCaPem, nat64 } }: TargetConfig,
  egress: Pick<Egress, 'isOwnEndpoint'>,
  clock: Clock,
): TargetDatabases {
  return {
    engines: createEngines(clock),
    transports: createDirectTransports({
      clock,
      names: createSystemNames({ resolver: createResolver({ clock, servers: dnsServers }) }),
      policy: createTargetPolicy({ ...databaseTargets, nat64, isOwnEndpoint: egress.isOwnEndpoint }),
    }),
    extraCa: extraCaPem,
    isWorkerPaused: leaseWorker.isPaused,
  };
}

type TargetConfig = Pick<Config, 'leaseWorker' | 'databaseTargets' | 'egress'>;
