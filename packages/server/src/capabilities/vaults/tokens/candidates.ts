import type { Random } from '../../../platform/crypto/random.js';
import type { VaultFormat } from '../providers/types.js';

/** Where almost every token is free, one of these is. */
const RANDOM_DRAWS = 4;
const BATCH_TOKENS = 1_000;
/** 100,000 tokens: the whole space of a 16-digit card number. A larger one is not full where so many are not free. */
const BATCHES_MAX = 100;
/** Each further try means that another caller took the token between our read and our write. */
const TRIES_MAX = 100;

/**
 * Token texts to try for a value, until one is accepted: a few at random, then, where tokens can run out, those that
 * are not taken. It ends, and then the space is exhausted.
 */
export async function* candidateTokens(
  format: VaultFormat,
  value: string,
  random: Random,
  listTaken: (tokens: readonly string[]) => Promise<ReadonlySet<string>>,
): AsyncGenerator<string, void, void> {
  for (let draw = 0; draw < RANDOM_DRAWS; draw += 1) yield format.generate(value, random);
  if (!format.walk) return;
  let tries = 0;
  for (const batch of batchesOf(format.walk(value, random))) {
    const taken = await listTaken(batch);
    for (const token of batch) {
      if (taken.has(token)) continue;
      if (++tries > TRIES_MAX) return;
      yield token;
    }
  }
}

function* batchesOf(tokens: Iterable<string>): Generator<string[], void, void> {
  let batches = 0;
  let batch: string[] = [];
  for (const token of tokens) {
    batch.push(token);
    if (batch.length < BATCH_TOKENS) continue;
    yield batch;
    batch = [];
    if (++batches === BATCHES_MAX) return;
  }
  if (batch.length > 0) yield batch;
}
