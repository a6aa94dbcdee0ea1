import { createVaults, type Vaults, type VaultsDeps } from '../capabilities/vaults/index.js';
import type { Caller } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import { createGenerations } from '../platform/cache/generations.js';
import type { OpenTestDatabase } from './databases.js';
import { createHarness, type Harness } from './harness.js';

export interface VaultHarness extends Harness {
  /** The vaults over the same database, as in another process: with caches of its own. */
  createVaultsElsewhere(more?: Partial<VaultsDeps>): Promise<Vaults>;
}

/** The harness with vaults. */
export async function createVaultHarness(open?: OpenTestDatabase): Promise<VaultHarness> {
  const harness = await createHarness(open && { open });
  return {
    ...harness,
    async createVaultsElsewhere(more) {
      const generations = createGenerations(harness);
      await generations.start();
      await generations.stop();
      return createVaults({ ...harness, generations, ...more });
    },
  };
}

export function holding(text: string) {
  return { value: new Secret(text), metadata: null, ttlSeconds: null, cardExpiry: null };
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
