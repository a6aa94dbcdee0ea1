import type { Random } from '../../../platform/crypto/random.js';

/** How the tokens of a vault look, and what values they stand for. */
export interface VaultFormat {
  /** Null when the value fits, else the rule it breaks, without the value. */
  validate(value: string): string | null;
  /** A random token for a value that fits; never the value itself. */
  generate(value: string, random: Random): string;
  /**
   * Present where tokens are few enough to run out: every token that the value can get, each once, from a random
   * start. Endless formats have none; two equal draws there mean that the random source is broken.
   */
  walk?(value: string, random: Random): Iterable<string>;
}
