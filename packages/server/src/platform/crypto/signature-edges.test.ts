import { constants, createHash, type KeyObject, privateEncrypt, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { newKeyPair } from './key-pairs.js';
import {
  type EcdsaForm,
  isGoodSignature,
  type SignatureScheme,
  signingKeyOf,
  signMessage,
  verifyingKeyOf,
} from './signatures.js';

/** The classes of edge cases that Project Wycheproof documents, made with keys of our own; its own are in tests/interop. */
const MESSAGE = Buffer.from('123400');

const bigOf = (bytes: Uint8Array) => BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
const bytesOf = (value: bigint, length: number) =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');

describe.each([
  ['P-256', 'ecdsa-p256', 'sha256', 32, 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [
    'P-384',
    'ecdsa-p384',
    'sha384',
    48,
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
] as const)('ECDSA with %s', (_curve, kind, hash, scalarBytes, order) => {
  const scheme: SignatureScheme = { family: 'ecdsa', hash, scalarBytes };
  let publicKey: KeyObject;
  let r: bigint;
  let s: bigint;

  const isGood = (signature: Uint8Array, form?: EcdsaForm) =>
    isGoodSignature(publicKey, scheme, MESSAGE, signature, form);
  const side = (a: bigint, b: bigint) => Buffer.concat([bytesOf(a, scalarBytes), bytesOf(b, scalarBytes)]);

  /** Two's complement in the fewest bytes. */
  function contentOf(value: bigint): Buffer {
    let length = 1;
    while (BigInt.asIntN(8 * length, value) !== value) length++;
    return bytesOf(BigInt.asUintN(8 * length, value), length);
  }
  const tlv = (tag: number, ...content: readonly Uint8Array[]) => {
    const body = Buffer.concat(content);
    return Buffer.concat([Buffer.of(tag, body.length), body]);
  };
  const integer = (value: bigint) => tlv(2, contentOf(value));
  const sequence = (...parts: readonly Uint8Array[]) => tlv(0x30, ...parts);
  const longLength = (der: Buffer, zeros = 0) =>
    Buffer.concat([der.subarray(0, 1), Buffer.of(0x81 + zeros), Buffer.alloc(zeros), der.subarray(1)]);
  const padded = (value: bigint, zeros = 1) => tlv(2, Buffer.alloc(zeros), contentOf(value));

  beforeAll(async () => {
    const pair = await newKeyPair(kind, 'test');
    publicKey = verifyingKeyOf(pair.publicKey);
    // Both with the top bit set, so that each needs its leading zero and stripping it shows.
    do {
      const signature = sign(hash, MESSAGE, {
        key: signingKeyOf('ecdsa', pair.privateKey),
        dsaEncoding: 'ieee-p1363',
      });
      r = bigOf(signature.subarray(0, scalarBytes));
      s = bigOf(signature.subarray(scalarBytes));
    } while (r >> BigInt(8 * scalarBytes - 1) === 0n || s >> BigInt(8 * scalarBytes - 1) === 0n);
  });

  it('is good in DER, with the other s of the same r too', () => {
    expect(isGood(sequence(integer(r), integer(s)))).toBe(true);
    expect(isGood(sequence(integer(r), integer(order - s)))).toBe(true);
  });

  it.each<[string, () => Buffer]>([
    ['a long length of the sequence', () => longLength(sequence(integer(r), integer(s)))],
    ['a long length with a leading zero', () => longLength(sequence(integer(r), integer(s)), 1)],
    ['a long length of r', () => sequence(longLength(integer(r)), integer(s))],
    ['a long length of s', () => sequence(integer(r), longLength(integer(s)))],
    [
      'an indefinite length',
      () => Buffer.concat([Buffer.of(0x30, 0x80), integer(r), integer(s), Buffer.of(0, 0)]),
    ],
    ['a length too long by one', () => bumped(sequence(integer(r), integer(s)), 1)],
    ['a length too short by one', () => bumped(sequence(integer(r), integer(s)), -1)],
    ['a leading zero of r', () => sequence(padded(r), integer(s))],
    ['a leading zero of s', () => sequence(integer(r), padded(s, 2))],
    [
      'r without its leading zero, which is negative',
      () => sequence(tlv(2, bytesOf(r, scalarBytes)), integer(s)),
    ],
    [
      's without its leading zero, which is negative',
      () => sequence(integer(r), tlv(2, bytesOf(s, scalarBytes))),
    ],
    ['a byte behind', () => Buffer.concat([sequence(integer(r), integer(s)), Buffer.of(0)])],
    ['a null behind', () => Buffer.concat([sequence(integer(r), integer(s)), Buffer.of(5, 0)])],
    ['a null in it', () => sequence(integer(r), integer(s), Buffer.of(5, 0))],
    ['a third integer', () => sequence(integer(r), integer(s), integer(1n))],
    ['r alone', () => sequence(integer(r))],
    ['nothing in it', () => sequence()],
    ['an empty r', () => sequence(tlv(2), integer(s))],
    ['a set for a sequence', () => tlv(0x31, integer(r), integer(s))],
    ['an octet string for r', () => sequence(tlv(4, contentOf(r)), integer(s))],
    ['a boolean for s', () => sequence(integer(r), tlv(1, Buffer.of(0xff)))],
    ['r and s exchanged', () => sequence(integer(s), integer(r))],
    ['r and s side by side', () => side(r, s)],
    ['its last byte missing', () => sequence(integer(r), integer(s)).subarray(0, -1)],
    ['no byte', () => Buffer.alloc(0)],
    ['a megabyte', () => Buffer.alloc(1 << 20, 0x30)],
    ['base64 of it', () => Buffer.from(sequence(integer(r), integer(s)).toString('base64'))],
  ])('is not good with %s', (_what, make) => expect(isGood(make())).toBe(false));

  const numbers = (): (readonly [string, bigint])[] => [
    ['0', 0n],
    ['1', 1n],
    ['-1', -1n],
    ['n', order],
    ['n - 1', order - 1n],
    ['n + 1', order + 1n],
    ['-n', -order],
    ['2^(bits)', 1n << BigInt(8 * scalarBytes)],
    ['2^(bits) - 1', (1n << BigInt(8 * scalarBytes)) - 1n],
  ];

  it('is not good with numbers at and beyond the bounds', () => {
    for (const [a, one] of [...numbers(), ['r', r] as const])
      for (const [b, two] of [...numbers(), ['s', s] as const])
        if (a !== 'r' || b !== 's')
          expect([a, b, isGood(sequence(integer(one), integer(two)))]).toEqual([a, b, false]);
  });

  it('is not good with the same numbers written otherwise', () => {
    for (const [a, b] of [
      [r + order, s],
      [r - order, s],
      [r, s + order],
      [r, s - order],
      [-r, s],
      [r, -s],
      [order - r, s],
    ] as const)
      expect(isGood(sequence(integer(a), integer(b)))).toBe(false);
  });

  it('of r and s side by side has one length, and no numbers beyond the bounds', () => {
    expect(isGood(side(r, s), 'ieee-p1363')).toBe(true);
    expect(isGood(side(r, order - s), 'ieee-p1363')).toBe(true);
    const whole = side(r, s);
    for (const bad of [
      sequence(integer(r), integer(s)),
      whole.subarray(0, -1),
      whole.subarray(1),
      Buffer.alloc(0),
      Buffer.concat([whole, Buffer.of(0)]),
      Buffer.concat([Buffer.of(0), bytesOf(r, scalarBytes), Buffer.of(0), bytesOf(s, scalarBytes)]),
      side(0n, 0n),
      side(r, 0n),
      side(0n, s),
      side(order, s),
      side(r, order),
      side(order, order),
      side(1n, 1n),
      side(s, r),
    ])
      expect([bad.toString('hex'), isGood(bad, 'ieee-p1363')]).toEqual([bad.toString('hex'), false]);
  });
});

function bumped(der: Buffer, by: number): Buffer {
  const changed = Buffer.from(der);
  changed[1]! += by;
  return changed;
}

describe('RSA', () => {
  const PKCS1: SignatureScheme = { family: 'rsa', hash: 'sha256', padding: 'pkcs1v15' };
  const PSS: SignatureScheme = { ...PKCS1, padding: 'pss' };
  const BYTES = 256;
  let key: KeyObject;
  let publicKey: KeyObject;
  let modulus: bigint;

  const isGood = (scheme: SignatureScheme, signature: Uint8Array, message = MESSAGE) =>
    isGoodSignature(publicKey, scheme, message, signature);

  beforeAll(async () => {
    const pair = await newKeyPair('rsa-2048', 'test');
    key = signingKeyOf('rsa', pair.privateKey);
    publicKey = verifyingKeyOf(pair.publicKey);
    modulus = bigOf(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'));
  });

  it.each([
    ['PKCS #1 v1.5', PKCS1, PSS],
    ['PSS', PSS, PKCS1],
  ])('%s is good in its own padding, hash and length alone', async (_name, scheme, other) => {
    const signature = await signMessage(key, scheme, MESSAGE);
    expect(isGood(scheme, signature)).toBe(true);
    expect(isGood(other, signature)).toBe(false);
    expect(isGood({ ...scheme, hash: 'sha384' } as SignatureScheme, signature)).toBe(false);
    for (const bad of [
      Buffer.concat([Buffer.of(0), signature]),
      Buffer.concat([signature, Buffer.of(0)]),
      signature.subarray(1),
      signature.subarray(0, -1),
      Buffer.alloc(0),
      Buffer.alloc(BYTES),
      bytesOf(1n, BYTES),
      bytesOf(2n, BYTES),
      bytesOf(modulus - 1n, BYTES),
      bytesOf(modulus, BYTES),
      bytesOf(modulus - bigOf(signature), BYTES),
      bytesOf(bigOf(signature) + modulus, BYTES + 1),
      Buffer.alloc(BYTES, 0xff),
      Buffer.alloc(1 << 20, 1),
    ])
      expect(isGood(scheme, bad)).toBe(false);
  });

  it('is not good without its leading zero, nor with the modulus added', async () => {
    const seen = new Set<string>();
    for (let at = 0; seen.size < 2; at++) {
      const message = Buffer.from(`message ${at}`);
      const signature = await signMessage(key, PKCS1, message);
      const larger = bigOf(signature) + modulus;
      if (signature[0] === 0) {
        expect(isGood(PKCS1, signature, message)).toBe(true);
        expect(isGood(PKCS1, signature.subarray(1), message)).toBe(false);
        seen.add('leading zero');
      }
      if (larger < 1n << BigInt(8 * BYTES)) {
        expect(isGood(PKCS1, bytesOf(larger, BYTES), message)).toBe(false);
        seen.add('room for the modulus');
      }
    }
  });

  it.each([0, 20, 31, 33, 64, 222])('PSS is not good with a salt of %i bytes', (saltLength) => {
    const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
    expect(isGood(PSS, sign('sha256', MESSAGE, options))).toBe(false);
  });

  const digest = createHash('sha256').update(MESSAGE).digest();
  const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
  /** DigestInfo of SHA-256 (RFC 8017 §9.2 note 1). */
  const INFO = '30 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20';
  const block = (info: Buffer, { type = 1, fill = 0xff, behind = Buffer.alloc(0) } = {}) =>
    Buffer.concat([
      Buffer.of(0, type),
      Buffer.alloc(BYTES - 3 - info.length - behind.length, fill),
      Buffer.of(0),
      info,
      behind,
    ]);
  const rawly = (encoded: Buffer) => privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
  const info = (text: string) => Buffer.concat([hex(text), digest]);

  it('PKCS #1 v1.5 is good in the one encoding', () => {
    expect(isGood(PKCS1, rawly(block(info(INFO))))).toBe(true);
  });

  it.each<[string, () => Buffer]>([
    ['no NULL', () => block(info('30 2f 30 0b 06 09 60 86 48 01 65 03 04 02 01 04 20'))],
    ['two NULLs', () => block(info('30 33 30 0f 06 09 60 86 48 01 65 03 04 02 01 05 00 05 00 04 20'))],
    ['a long length', () => block(info('30 81 31 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20'))],
    [
      'a long length of the digest',
      () => block(info('30 32 30 0d 06 09 60 86 48 01 65 03 04 02 01 05 00 04 81 20')),
    ],
    ['the digest alone', () => block(digest)],
    ['the name of SHA-384', () => block(info(INFO.replace('02 01 05', '02 02 05')))],
    ['the name of SHA-1', () => block(info('30 2d 30 09 06 05 2b 0e 03 02 1a 05 00 04 20'))],
    ['another digest', () => block(Buffer.concat([hex(INFO), Buffer.alloc(32)]))],
    [
      'bytes behind, room for forging with a small exponent',
      () => block(info(INFO), { behind: Buffer.alloc(150, 7) }),
    ],
    [
      'bytes in the digest info',
      () => block(Buffer.concat([info(INFO.replace('30 31', '30 33')), Buffer.of(5, 0)])),
    ],
    ['block type 2', () => block(info(INFO), { type: 2 })],
    ['block type 0', () => block(info(INFO), { type: 0, fill: 0 })],
    ['padding that is not ff', () => block(info(INFO), { fill: 0xfe })],
  ])('PKCS #1 v1.5 is not good with %s', (_what, make) => expect(isGood(PKCS1, rawly(make()))).toBe(false));
});

describe('Ed25519', () => {
  const scheme: SignatureScheme = { family: 'ed25519' };
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
  const PRIME = 2n ** 255n - 19n;
  let publicKey: KeyObject;
  let signature: Buffer;

  const little = (value: bigint) => bytesOf(value, 32).reverse();
  const isGood = (...parts: readonly Uint8Array[]) =>
    isGoodSignature(publicKey, scheme, MESSAGE, Buffer.concat(parts));

  beforeAll(async () => {
    const pair = await newKeyPair('ed25519', 'test');
    publicKey = verifyingKeyOf(pair.publicKey);
    signature = await signMessage(signingKeyOf('ed25519', pair.privateKey), scheme, MESSAGE);
  });

  it('is good as it was made alone', () => {
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const scalar = bigOf(Buffer.from(s).reverse());
    expect(isGood(r, s)).toBe(true);
    // Each S + kL stands for the same number (RFC 8032 §8.4).
    for (let k = 1n; scalar + k * ORDER < 1n << 256n; k++)
      expect(isGood(r, little(scalar + k * ORDER))).toBe(false);
    for (const other of [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, (1n << 256n) - 1n, ORDER - scalar])
      expect(isGood(r, little(other))).toBe(false);
    // R as no point, of small order, and beyond the prime.
    for (const y of [0n, 1n, PRIME - 1n, PRIME, PRIME + 1n, (1n << 255n) - 1n, (1n << 256n) - 1n])
      for (const factor of [little(0n), s]) expect(isGood(little(y), factor)).toBe(false);
    const signBit = Buffer.from(r);
    signBit[31]! ^= 0x80;
    expect(isGood(signBit, s)).toBe(false);
    expect(isGood(s, r)).toBe(false);
  });

  it('has 64 bytes', () => {
    for (const length of [0, 1, 32, 63]) expect(isGood(signature.subarray(0, length))).toBe(false);
    expect(isGood(signature, Buffer.of(0))).toBe(false);
    expect(isGood(signature, signature)).toBe(false);
    expect(isGood(Buffer.of(0), signature)).toBe(false);
  });
});
