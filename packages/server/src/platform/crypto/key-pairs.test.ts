import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { KEY_PAIR_KINDS, newKeyPair } from './key-pairs.js';

const DETAILS = {
  'ecdsa-p256': ['ec', { namedCurve: 'prime256v1' }],
  'ecdsa-p384': ['ec', { namedCurve: 'secp384r1' }],
  ed25519: ['ed25519', {}],
  'rsa-2048': ['rsa', { modulusLength: 2048, publicExponent: 65_537n }],
  'rsa-3072': ['rsa', { modulusLength: 3072, publicExponent: 65_537n }],
  'rsa-4096': ['rsa', { modulusLength: 4096, publicExponent: 65_537n }],
} as const;

test.each(KEY_PAIR_KINDS)('a pair of kind %s: both halves belong together', async (kind) => {
  const { privateKey, publicKey } = await newKeyPair(kind, 'a');
  const secret = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  expect(createPublicKey(secret).export({ format: 'der', type: 'spki' })).toEqual(publicKey);
  expect([secret.asymmetricKeyType, secret.asymmetricKeyDetails]).toEqual(DETAILS[kind]);
});

test('of one owner 12 RSA keys are under way or wait and the next is refused, while another owner is let in', async () => {
  const greedy = Array.from({ length: 12 }, () => newKeyPair('rsa-2048', 'greedy'));
  await expect(newKeyPair('rsa-2048', 'greedy')).rejects.toMatchObject({
    type: 'dependency_unavailable',
    retryAfterSeconds: 5,
  });
  // In which order they are made is the matter of `line.test.ts`: how long one takes is chance.
  const other = newKeyPair('rsa-2048', 'other');
  expect((await newKeyPair('ed25519', 'greedy')).privateKey.length).toBeGreaterThan(0);
  const made = await Promise.all([...greedy, other]);
  expect(new Set(made.map(({ publicKey }) => publicKey.toString('hex'))).size).toBe(13);
});
