import { createEngines } from '../capabilities/dyn-db/index.js';
import type { Config } from '../platform/config/config.js';
import type { TargetDatabases } from './services.js';

/** The databases that credentials are minted for, as the server reaches them. */
export function targetDatabases({ leaseWorker }: Pick<Config, 'leaseWorker'>): TargetDatabases {
  return {
    engines: createEngines(),
    transports: {
      problem: () => 'databases cannot be reached yet',
      create() {
        throw new Error('databases cannot be reached yet');
      },
    },
    isWorkerPaused: leaseWorker.isPaused,
  };
}
