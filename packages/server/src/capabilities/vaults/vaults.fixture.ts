import type { Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import type { OpenTestDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import {
  createCryptoKeys,
  migrations as cryptoKeysMigrations,
  envelopeColumns,
} from '../crypto-keys/index.js';
import { createKms, migrations as kmsMigrations } from '../kms/index.js';
import { createVaults, migrations, type Vaults, vaultRoutes } from './index.js';

export interface VaultHarness extends Harness {
  readonly vaults: Vaults;
}

/** The harness with vaults, and a master key for each of its tenants. */
export async function createVaultHarness(open?: OpenTestDatabase): Promise<VaultHarness> {
  let vaults: Vaults | undefined;
  let addMasterKeys: (harness: Harness) => Promise<void> = async () => undefined;
  const harness = await createHarness({
    ...(open && { open }),
    migrations: [...kmsMigrations, ...cryptoKeysMigrations, ...migrations],
    routes(floor) {
      const kms = createKms({ ...floor, rootKey: new Secret(Buffer.alloc(32, 7)), envelopeColumns });
      const cryptoKeys = createCryptoKeys({ ...floor, tenantKeys: kms });
      vaults = createVaults({ ...floor, cryptoKeys });
      addMasterKeys = async ({ db, tenant, other }) => {
        for (const { id } of [tenant, other]) {
          const prepared = await kms.prepare(id);
          await db.transaction((tx) => kms.createFor(tx, id, prepared));
        }
      };
      return vaultRoutes(vaults);
    },
  });
  await addMasterKeys(harness);
  if (!vaults) throw new Error('the harness did not ask for routes');
  return { ...harness, vaults };
}

export function valueOf(text: string) {
  return { value: new Secret(text), metadata: null };
}

/** The same caller, allowed only what `may` says. */
export function restricted(caller: Caller, may: Caller['principal']['may']): Caller {
  return { ...caller, principal: { ...caller.principal, may } };
}

/** The Luhn check digit that completes a card number. */
export function withCheckDigit(body: string): string {
  for (let check = 0; check < 10; check += 1) {
    if (satisfiesLuhn(`${body}${check}`)) return `${body}${check}`;
  }
  throw new Error('no check digit');
}

/** Written another way than in the source, so that a shared mistake is unlikely. */
export function satisfiesLuhn(digits: string): boolean {
  const twice = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
  const sum = [...digits]
    .reverse()
    .reduce((total, digit, i) => total + (i % 2 ? (twice[Number(digit)] as number) : Number(digit)), 0);
  return sum % 10 === 0;
}
