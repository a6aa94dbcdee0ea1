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
  const { privateKey, publicKey } = await newKeyPair(kind);
  const secret = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
  expect(createPublicKey(secret).export({ format: 'der', type: 'spki' })).toEqual(publicKey);
  expect([secret.asymmetricKeyType, secret.asymmetricKeyDetails]).toEqual(DETAILS[kind]);
});

test('of RSA keys 52 are under way or wait and the next is refused; those of curves wait for nobody', async () => {
  // Two are being made when the file ends, which waits for no more of them: all would take many seconds.
  void Promise.allSettled(Array.from({ length: 52 }, () => newKeyPair('rsa-2048')));
  await expect(newKeyPair('rsa-2048')).rejects.toMatchObject({
    type: 'dependency_unavailable',
    retryAfterSeconds: 5,
  });
  expect((await newKeyPair('ed25519')).privateKey.length).toBeGreaterThan(0);
});
