import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import { forEachDatabase } from '../../testing/databases.js';
import {
  createVaultHarness,
  holding,
  satisfiesLuhn,
  type VaultHarness,
  withCheckDigit,
} from '../../testing/vault-harness.js';
import type { TokenFormat } from './tables.js';

/** Different card numbers of one length that share their first six and last four digits. */
function numbersThatShare(length: number, count: number): string[] {
  const free = length - 11;
  const numbers: string[] = [];
  for (let index = 0; numbers.length < count; index += 1) {
    const middle = String(index).padStart(free, '0');
    for (let digit = 0; digit < 10; digit += 1) {
      const number = `411111${middle}${digit}1234`;
      if (satisfiesLuhn(number)) numbers.push(number);
    }
  }
  return numbers;
}

forEachDatabase((_name, open) => {
  describe('values that share the digits that their tokens keep', () => {
    let harness: VaultHarness;
    let caller: Caller;
    beforeAll(async () => {
      harness = await createVaultHarness(open);
      caller = await harness.callerOf(harness.tenant, 'live');
    });
    afterAll(() => harness.close());

    async function openVault(name: string, tokenFormat: TokenFormat = 'pan'): Promise<void> {
      const input = { name, tokenFormat, description: null, metadata: null, echoGuard: true };
      await harness.vaults.create(caller, { ...input, defaultTtlSeconds: null });
    }

    /** Tokenizes 50 at a time; what is refused must say that the space is exhausted. */
    async function tokenizeAll(vault: string, values: readonly string[]): Promise<(string | null)[]> {
      const tokens: (string | null)[] = [];
      for (let at = 0; at < values.length; at += 50) {
        const chunk = values.slice(at, at + 50).map((value) =>
          harness.vaults.tokenize(caller, vault, holding(value)).then(
            (token) => token.token,
            (error) => {
              if (!isAppError(error, 'token_space_exhausted')) throw error;
              return null;
            },
          ),
        );
        tokens.push(...(await Promise.all(chunk)));
      }
      return tokens;
    }

    it('10,000 of 16 digits all get distinct valid tokens, none its own number', async () => {
      await openVault('sixteen');
      const numbers = numbersThatShare(16, 10_000);
      const tokens = await tokenizeAll('sixteen', numbers);
      expect(new Set(tokens).size).toBe(10_000);
      tokens.forEach((token, index) => {
        const isValid =
          token !== null &&
          token !== numbers[index] &&
          /^411111\d{6}1234$/.test(token) &&
          satisfiesLuhn(token);
        if (!isValid) expect.fail(`${numbers[index]} became ${token}`);
      });
    });

    it.each([
      [12, 9],
      [13, 99],
      [14, 999],
    ])('one number of %i digits gets all its %i tokens, then a clear refusal', async (length, space) => {
      const vault = `one-${length}`;
      await openVault(vault);
      const number = withCheckDigit('4111111111111111'.slice(0, length - 1));
      const tokens = await tokenizeAll(
        vault,
        Array.from({ length: space + 20 }, () => number),
      );
      const given = tokens.filter((token) => token !== null);
      expect(new Set(given).size).toBe(given.length);
      expect(given).toHaveLength(space);
      await expect(harness.vaults.tokenize(caller, vault, holding(number))).rejects.toMatchObject({
        type: 'token_space_exhausted',
        status: 409,
      });
    });

    it('the tenth token of a 12-digit space goes to another number only', async () => {
      await openVault('tenth');
      const [number = '', another = ''] = numbersThatShare(12, 10);
      await tokenizeAll(
        'tenth',
        Array.from({ length: 9 }, () => number),
      );
      const last = await harness.vaults.tokenize(caller, 'tenth', holding(another));
      expect(last.token).toBe(number);
      expect((await harness.vaults.detokenize(caller, 'tenth', last.token)).value.reveal()).toBe(another);
    });

    it('social security numbers with one last four get all 5,500 tokens, then a clear refusal', async () => {
      await openVault('people', 'ssn');
      const numbers = Array.from({ length: 5_510 }, (_, n) => `1${String(n).padStart(4, '0')}6789`);
      // By groups where nearly all is free; one by one where nearly all is taken.
      const groups: string[] = [];
      for (let at = 0; at < 5_000; at += LIMITS.vaultBulkValuesMax) {
        const values = numbers.slice(at, at + LIMITS.vaultBulkValuesMax).map(holding);
        const tokens = await harness.vaults.tokenizeBulk(caller, 'people', values);
        groups.push(...tokens.map(({ token }) => token));
      }
      const single = await tokenizeAll('people', numbers.slice(5_000));
      const given = [...groups, ...single.filter((token) => token !== null)];
      expect(new Set(given).size).toBe(given.length);
      expect(given).toHaveLength(5_500);
      for (const token of given) {
        if (!/^9\d\d-(?:[0-4]\d|6[6-9]|89)-6789$/.test(token)) expect.fail(token);
      }
      const other = await harness.vaults.tokenize(caller, 'people', holding('123456780'));
      expect(other.token).toMatch(/-6780$/);
    });

    describe('tokenized together', () => {
      const bulk = (vault: string, values: readonly string[]) =>
        harness.vaults.tokenizeBulk(caller, vault, values.map(holding));
      const textsOf = async (vault: string) => {
        const options = { page: 1, perPage: 100, sort: 'created_at', order: 'asc' } as const;
        return (await harness.vaults.listTokens(caller, vault, options)).rows.map(({ token }) => token);
      };
      const number = withCheckDigit('41111111111');
      const times = (count: number) => Array.from({ length: count }, () => number);

      it('get all tokens there are, and none when there are too few', async () => {
        await openVault('together');
        await expect(bulk('together', times(10))).rejects.toMatchObject({ type: 'token_space_exhausted' });
        expect(await textsOf('together')).toEqual([]);
        const tokens = await bulk('together', times(9));
        expect(new Set(tokens.map(({ token }) => token)).size).toBe(9);
        await expect(bulk('together', times(1))).rejects.toMatchObject({ type: 'token_space_exhausted' });
        expect(await textsOf('together')).toHaveLength(9);
      });

      it('go round those that are taken, also by others at the same time', async () => {
        await openVault('crowd');
        await tokenizeAll('crowd', times(2));
        const groups = await Promise.all([bulk('crowd', times(4)), bulk('crowd', times(3))]);
        expect(groups.map((group) => group.length)).toEqual([4, 3]);
        expect(new Set(await textsOf('crowd')).size).toBe(9);
      });

      it('keep their order whatever they collide with', async () => {
        await openVault('order');
        const numbers = numbersThatShare(13, 60);
        const tokens = [...(await bulk('order', numbers)), ...(await bulk('order', numbers.slice(0, 30)))];
        const values = await Promise.all(
          tokens.map(async ({ token }) =>
            (await harness.vaults.detokenize(caller, 'order', token)).value.reveal(),
          ),
        );
        expect(values).toEqual([...numbers, ...numbers.slice(0, 30)]);
      });
    });

    it('a token that is deleted can be given again', async () => {
      await openVault('again');
      const number = withCheckDigit('41111111111');
      const tokens = await tokenizeAll(
        'again',
        Array.from({ length: 9 }, () => number),
      );
      await harness.vaults.deleteToken(caller, 'again', tokens[3] ?? '');
      expect((await harness.vaults.tokenize(caller, 'again', holding(number))).token).toBe(tokens[3]);
    });
  });
});
