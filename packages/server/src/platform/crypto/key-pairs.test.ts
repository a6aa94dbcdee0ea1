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
