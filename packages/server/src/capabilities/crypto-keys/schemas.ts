import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import type { CryptoKey } from './store.js';

const VERSION = /^[1-9][0-9]{0,8}$/;

const keyReference = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .describe('Name of the key; of a key that belongs to a vault its id, the `crypto_key_id` of the vault.');
export const keyParams = z.object({ name: keyReference });
export const keyVersionParams = z.object({
  name: keyReference,
  n: z
    .string()
    .regex(VERSION, 'must be a whole number from 1')
    .transform(Number)
    .describe('Number of the version.'),
});

export const updateKeyBody = z.strictObject({
  deletion_allowed: z.boolean().describe('True: versions that are not the active one can be destroyed.'),
});

export const keyLatchResponse = z
  .object({
    name: z.string().describe('Name of the key, its id where it has none.'),
    deletion_allowed: z.boolean(),
  })
  .meta({ id: 'CryptoKeyLatch' });

export const destroyedResponse = z
  .object({ destroyed: z.number().int().positive().describe('Number of the version.') })
  .meta({ id: 'DestroyedKeyVersion' });

export function keyLatchWire(key: CryptoKey): z.input<typeof keyLatchResponse> {
  return { name: key.name ?? key.id, deletion_allowed: key.deletionAllowed };
}
