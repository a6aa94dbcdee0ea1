import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { createTokenSigner, newSigningKey, parseSigningKey } from './signed-tokens.js';

const NOW_MS = Date.UTC(2026, 0, 15);
const exp = NOW_MS / 1000 + 60;

describe('a signer', () => {
  it('knows what it has signed until it runs out', async () => {
    const signer = await createTokenSigner(newSigningKey());
    const token = await signer.sign({ sub: 'u', exp });
    expect(await signer.verify(token, NOW_MS)).toEqual({ sub: 'u', exp });
    expect(await signer.verify(token, NOW_MS + 60_000)).toBeNull();
  });

  it('knows nothing that another key has signed, that has no end, or that is no token', async () => {
    const [signer, other] = await Promise.all([newSigningKey(), newSigningKey()].map(createTokenSigner));
    const endless = await signer!.sign({ sub: 'u' });
    for (const token of [await other!.sign({ sub: 'u', exp }), endless, '', 'a.b.c', 'eyJ'])
      expect(await signer!.verify(token, NOW_MS)).toBeNull();
  });

  it('takes no algorithm but ES256: not a MAC under its public key, nor none', async () => {
    const signer = await createTokenSigner(newSigningKey());
    const mac = await new SignJWT({ sub: 'u', exp })
      .setProtectedHeader({ alg: 'HS256', kid: signer.keyId, typ: 'JWT' })
      .sign(Buffer.alloc(32, 1));
    const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${mac.split('.')[1]}.`;
    for (const token of [mac, none]) expect(await signer.verify(token, NOW_MS)).toBeNull();
  });
});

describe('a key in PEM', () => {
  const pemOf = (namedCurve: string, type: 'pkcs8' | 'sec1') =>
    generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'pem', type }) as string;

  it.each(['pkcs8', 'sec1'] as const)('of P-256 as %s signs', async (type) => {
    const key = parseSigningKey(pemOf('P-256', type));
    const signer = await createTokenSigner(key!);
    expect(await signer.verify(await signer.sign({ exp }), NOW_MS)).toEqual({ exp });
  });

  it.each([
    ['another curve', () => pemOf('P-384', 'pkcs8')],
    [
      'RSA',
      () =>
        generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
          format: 'pem',
          type: 'pkcs8',
        }),
    ],
    ['Ed25519', () => generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' })],
    [
      'a public key',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' }),
    ],
    ['a text', () => 'secret'],
  ])('of %s is none', (_, pem) => {
    expect(parseSigningKey(String(pem()))).toBeNull();
  });
});
