import type { JobDefinition } from '../../platform/jobs/definition.js';
import type { Vaults } from './service.js';

export function vaultJobs(vaults: Pick<Vaults, 'removeExpired'>): JobDefinition[] {
  return [
    {
      kind: 'vault_token_expiry',
      title: 'Removes tokens that have expired, a share of each vault in turn',
      schedule: { everyMs: 60_000 },
      // What a transaction removes in some 20 ms: on SQLite every other change waits for it.
      batchMax: 250,
      run: (context) => vaults.removeExpired(context),
    },
  ];
}
