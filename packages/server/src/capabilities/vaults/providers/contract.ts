import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { fuzz } from '../../../testing/fuzz.js';
import type { TokenFormat } from '../tables.js';
import { formats } from './index.js';

export interface FormatSamples {
  /** Values that fit. */
  readonly fitting: fc.Arbitrary<string>;
  /** Values that do not. */
  readonly refused: readonly string[];
  /** What every token looks like. */
  readonly token: RegExp;
}

/** What every vault format must do. */
export function vaultFormatContract(name: TokenFormat, samples: FormatSamples): void {
  const format = formats[name];
  describe(`vault format contract: ${name}`, () => {
    it('accepts what fits', () => {
      fc.assert(
        fc.property(samples.fitting, (value) => format.validate(value) === null),
        fuzz(100),
      );
    });

    it('refuses what does not, without repeating it', () => {
      for (const value of samples.refused) {
        const rule = format.validate(value);
        expect(rule, value).toMatch(/^must /);
        if (value.length > 3) expect(rule).not.toContain(value);
      }
    });

    it('gives well-formed tokens that are not the value', () => {
      fc.assert(
        fc.property(samples.fitting, (value) => {
          const token = format.generate(value, systemRandom);
          expect(token).toMatch(samples.token);
          expect(token).not.toBe(value);
          // Stands unquoted in an expression, a path and a header, and is a value of the same kind.
          expect(token).toMatch(/^[^\s\p{Cc}{}"'\\/?#%&=]+$/u);
          expect(format.validate(token)).toBeNull();
        }),
        fuzz(100),
      );
    });

    it('takes or refuses any text, and makes a well-formed token of what it takes', () => {
      const anyText = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.stringMatching(/^[0-9 -]{0,22}$/),
        fc.stringMatching(/^[a-z0-9.@_ -]{0,20}$/),
        fc.emailAddress(),
      );
      fc.assert(
        fc.property(anyText, (value) => {
          const rule = format.validate(value);
          if (rule === null) expect(format.generate(value, systemRandom)).toMatch(samples.token);
          else expect(rule).toMatch(/^must /);
        }),
        fuzz(500),
      );
    });

    it('draws distinct tokens where it has no end of them', () => {
      fc.assert(
        fc.property(samples.fitting, (value) => {
          if (format.walk) return;
          const tokens = Array.from({ length: 1000 }, () => format.generate(value, systemRandom));
          expect(new Set(tokens).size).toBe(tokens.length);
        }),
        fuzz(5),
      );
    });

    it('is not convergent', () => {
      fc.assert(
        fc.property(samples.fitting, (value) => {
          const tokens = new Set(Array.from({ length: 200 }, () => format.generate(value, systemRandom)));
          expect(tokens.size).toBeGreaterThan(1);
        }),
        fuzz(20),
      );
    });

    it('walks tokens that it would generate, each once', () => {
      fc.assert(
        fc.property(samples.fitting, (value) => {
          const seen = new Set<string>();
          for (const token of format.walk?.(value, systemRandom) ?? []) {
            expect(token).toMatch(samples.token);
            expect(token).not.toBe(value);
            expect(seen.has(token)).toBe(false);
            seen.add(token);
            if (seen.size === 500) break;
          }
        }),
        fuzz(30),
      );
    });
  });
}
