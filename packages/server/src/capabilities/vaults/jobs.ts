import type { JobDefinition } from '../../platform/jobs/definition.js';
import type { Vaults } from './service.js';

export function vaultJobs(vaults: Pick<Vaults, 'removeExpired' | 'tellOfCards'>): JobDefinition[] {
  return [
    {
      kind: 'vault_token_expiry',
      title: 'Removes tokens that have expired, a share of each vault in turn',
      schedule: { everyMs: 60_000 },
      // What a transaction removes in some 20 ms: on SQLite every other change waits for it.
      batchMax: 250,
      run: (context) => vaults.removeExpired(context),
    },
    {
      kind: 'vault_card_notices',
      title: 'Tells of cards in vaults that end in 60 days, and in 30',
      schedule: { everyMs: 600_000 },
      batchMax: 100,
      run: (context) => vaults.tellOfCards(context),
    },
  ];
}
