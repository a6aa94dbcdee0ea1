import type { Parameters } from 'fast-check';

/**
 * How often a fuzzed property is tried: the given small count under `npm test`, a multiple of it under `npm run soak`, which
 * also draws a seed. fast-check prints the seed and the path of a failure.
 */
export function fuzz(runs: number): Pick<Parameters<unknown>, 'numRuns' | 'seed'> {
  return {
    numRuns: runs * Number(process.env['KNOX_FUZZ_FACTOR'] ?? 1),
    seed: Number(process.env['KNOX_FUZZ_SEED'] ?? 60),
  };
}
