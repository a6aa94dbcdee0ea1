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

test('of one owner 12 RSA keys are under way or wait, the next is refused, and another owner is not', async () => {
  const made = (owner: string) => newKeyPair('rsa-2048', owner).then(() => owner);
  const many = Array.from({ length: 12 }, () => made('greedy'));
  await expect(made('greedy')).rejects.toMatchObject({
    type: 'dependency_unavailable',
    retryAfterSeconds: 5,
  });
  const other = made('other');
  expect((await newKeyPair('ed25519', 'greedy')).privateKey.length).toBeGreaterThan(0);
  const ended: string[] = [];
  await Promise.all([...many, other].map(async (pair) => ended.push(await pair)));
  expect(ended).toHaveLength(13);
  // At most the two that are being made, and those of one turn, are before it.
  expect(ended.indexOf('other')).toBeLessThan(6);
});
