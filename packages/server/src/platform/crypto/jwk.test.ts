import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { decodeBase64Url, JwkRefused, readPublicJwk, thumbprintOf } from './jwk.js';

const jwkOf = (type: 'P-256' | 'P-384' | 'ed25519' | 'rsa'): Record<string, unknown> => {
  const { publicKey } =
    type === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : type === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: type });
  return { ...publicKey.export({ format: 'jwk' }) };
};
const text = (bytes: Buffer) => bytes.toString('base64url');
/** Odd, of that many bits. */
const modulus = (bits: number) => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  bytes[0] = 0xff >> (bytes.length * 8 - bits);
  return text(bytes);
};
const rsa = (members: object) => ({ kty: 'RSA', e: 'AQAB', n: modulus(2048), ...members });

describe('keys that are taken', () => {
  it.each(['P-256', 'P-384', 'ed25519', 'rsa'] as const)(
    '%s, with the thumbprint of RFC 7638',
    async (type) => {
      for (let turn = 0; turn < (type === 'rsa' ? 1 : 50); turn++) {
        const jwk = jwkOf(type);
        const key = readPublicJwk({ ...jwk, use: 'sig', kid: 'x', alg: 'x', ext: true });
        expect(key).toEqual(jwk);
        expect(thumbprintOf(key)).toBe(await calculateJwkThumbprint(jwk as never));
      }
    },
  );

  it('the thumbprint of the example in RFC 7638 §3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const key = readPublicJwk({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' });
    expect(thumbprintOf(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  it.each([2048, 2049, 3072, 4095, 4096])('RSA of %i bits', (bits) => {
    expect(readPublicJwk(rsa({ n: modulus(bits) }))).toMatchObject({ kty: 'RSA' });
  });
});

describe('keys that are not', () => {
  const p256 = jwkOf('P-256');
  const p384 = jwkOf('P-384');
  const ed25519 = (y: bigint, sign = 0) => {
    const bytes = Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse();
    bytes[31]! |= sign;
    return { kty: 'OKP', crv: 'Ed25519', x: text(bytes) };
  };
  const prime = 2n ** 255n - 19n;
  const eighth = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
  const primeOf256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;

  it.each([
    ['no object', 'x', 'object'],
    ['null', null, 'object'],
    ['a list', [p256], 'object'],
    ['no kty', { ...p256, kty: undefined }, 'kty'],
    ['kty of another case', { ...p256, kty: 'ec' }, 'kty'],
    ['a secret key', { kty: 'oct', k: 'AAAA' }, 'private member k'],
    ['d null', { ...p256, d: null }, 'private member d'],
    ['primes of an RSA key', rsa({ p: 'AQ' }), 'private member p'],
    ['P-521', { ...p256, crv: 'P-521' }, 'crv'],
    ['a Bitcoin key', { ...p256, crv: 'secp256k1' }, 'crv'],
    ['coordinates turned round', { ...p256, x: p256.y, y: p256.x }, 'not on P-256'],
    ['the point zero', { ...p256, x: text(Buffer.alloc(32)), y: text(Buffer.alloc(32)) }, 'not on P-256'],
    ['a coordinate of 31 bytes', { ...p256, x: text(Buffer.alloc(31, 1)) }, '32 bytes'],
    ['a coordinate with a zero in front', { ...p256, x: text(Buffer.alloc(33, 1)) }, 'at most 32 bytes'],
    ['a coordinate above the prime', { ...p256, x: text(Buffer.alloc(32, 0xff)) }, 'below the prime'],
    [
      'a coordinate that is the prime',
      { ...p256, x: text(Buffer.from(primeOf256.toString(16), 'hex')) },
      'prime',
    ],
    ['a megabyte for a coordinate', { ...p256, x: 'A'.repeat(1024 * 1024) }, 'at most 32 bytes'],
    ['a number for a coordinate', { ...p256, x: 1 }, 'string'],
    ['a point of P-384 on P-256', { ...p384, crv: 'P-256' }, 'at most 32 bytes'],
    ['padding', { ...p256, x: `${p256.x}=` }, 'at most'],
    ['standard base64', { ...p256, x: `+${String(p256.x).slice(1)}` }, 'base64url'],
    ['Ed448', { kty: 'OKP', crv: 'Ed448', x: text(Buffer.alloc(57, 1)) }, 'crv'],
    ['X25519', { kty: 'OKP', crv: 'X25519', x: text(Buffer.alloc(32, 1)) }, 'crv'],
    ['Ed25519 of 31 bytes', { kty: 'OKP', crv: 'Ed25519', x: text(Buffer.alloc(31, 1)) }, '32 bytes'],
    ['Ed25519, y the prime', ed25519(prime), 'below the prime'],
    ['Ed25519, y the prime and one', ed25519(prime + 1n), 'below the prime'],
    ['Ed25519, order 1', ed25519(1n), 'small order'],
    ['Ed25519, order 1, signed', ed25519(1n, 0x80), 'small order'],
    ['Ed25519, order 2', ed25519(prime - 1n), 'small order'],
    ['Ed25519, order 4', ed25519(0n, 0x80), 'small order'],
    ['Ed25519, order 8', ed25519(eighth), 'small order'],
    ['Ed25519, the other of order 8', ed25519(prime - eighth, 0x80), 'small order'],
    ['RSA 1024', rsa({ n: modulus(1024) }), '2048 to 4096 bits'],
    ['RSA 2047', rsa({ n: modulus(2047) }), '2048 to 4096 bits'],
    ['RSA 4097', rsa({ n: modulus(4097) }), '2048 to 4096 bits'],
    ['RSA 8192', rsa({ n: modulus(8192) }), '2048 to 4096 bits'],
    ['RSA with nothing', rsa({ n: '' }), 'n begins'],
    ['RSA, zeros in front', rsa({ n: text(Buffer.alloc(257)) }), 'zero byte'],
    ['RSA, even', rsa({ n: text(Buffer.alloc(256, 0xfe)) }), 'even'],
    ['e=1', rsa({ e: 'AQ' }), 'e must be'],
    ['e=3', rsa({ e: 'Aw' }), 'e must be'],
    ['e with a zero in front', rsa({ e: 'AAEAAQ' }), 'e must be'],
    ['e missing', rsa({ e: undefined }), 'e must be'],
    ['e of 3072 bits', rsa({ e: modulus(3072) }), 'e must be'],
  ])('%s', (_name, jwk, rule) => {
    const read = () => readPublicJwk(jwk);
    expect(read).toThrow(JwkRefused);
    expect(read).toThrow(rule);
  });
});

it('base64url has one form', () => {
  expect(decodeBase64Url('AQ')).toEqual(Buffer.from([1]));
  for (const other of ['AR', 'AQ==', 'A', 'A Q', '+/', 'AQ\n', 'é'])
    expect(decodeBase64Url(other)).toBeNull();
});
