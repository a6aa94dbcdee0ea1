import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath, skippedWithout } from '../../testing/programs.js';
import { type KeyPair, type KeyPairKind, newKeyPair } from './key-pairs.js';
import {
  isGoodSignature,
  type SignatureScheme,
  signingKeyOf,
  signMessage,
  verifyingKeyOf,
} from './signatures.js';

const MESSAGE = Buffer.from('what is signed \0 ż');
const OTHER = Buffer.from('what is not');
const HASHES = ['sha256', 'sha384', 'sha512'] as const;

interface Case {
  readonly kind: KeyPairKind;
  readonly scheme: SignatureScheme;
  /** What `openssl dgst` is told beside the hash; null where it takes no such key. */
  readonly dgst: readonly string[] | null;
}

const rsaCases = (kind: KeyPairKind): Case[] =>
  HASHES.flatMap((hash): Case[] => [
    {
      kind,
      scheme: { family: 'rsa', hash, padding: 'pss' },
      dgst: ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
    },
    { kind, scheme: { family: 'rsa', hash, padding: 'pkcs1v15' }, dgst: [] },
  ]);

const CASES: readonly Case[] = [
  ...rsaCases('rsa-2048'),
  ...rsaCases('rsa-3072').slice(0, 2),
  ...rsaCases('rsa-4096').slice(4),
  { kind: 'ecdsa-p256', scheme: { family: 'ecdsa', hash: 'sha256', scalarBytes: 32 }, dgst: [] },
  { kind: 'ecdsa-p384', scheme: { family: 'ecdsa', hash: 'sha384', scalarBytes: 48 }, dgst: [] },
  { kind: 'ed25519', scheme: { family: 'ed25519' }, dgst: null },
];
const titled = CASES.map(
  (each) => [JSON.stringify([each.kind, ...Object.values(each.scheme)]), each] as const,
);

const pairs = new Map<KeyPairKind, KeyPair>();
let dir: string;
const file = (name: string) => join(dir, name);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'knox-signatures-'));
  writeFileSync(file('message'), MESSAGE);
  for (const kind of new Set(CASES.map((each) => each.kind))) {
    const pair = await newKeyPair(kind, 'test');
    pairs.set(kind, pair);
    writeFileSync(
      file(`${kind}.key`),
      signingKeyOf('rsa', pair.privateKey).export({ format: 'pem', type: 'pkcs8' }),
    );
    writeFileSync(
      file(`${kind}.pub`),
      verifyingKeyOf(pair.publicKey).export({ format: 'pem', type: 'spki' }),
    );
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

function keysOf({ kind, scheme }: Case) {
  const { privateKey, publicKey } = pairs.get(kind)!;
  return { key: signingKeyOf(scheme.family, privateKey), publicKey: verifyingKeyOf(publicKey) };
}

function openssl(...words: readonly string[]): string {
  return execFileSync(programPath('openssl')!, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

describe.each(titled)('%s', (_title, each) => {
  const { kind, scheme, dgst } = each;
  const hashOption = 'hash' in scheme ? [`-${scheme.hash}`] : [];
  const raw = ['-rawin', '-in'];

  it('is good for its key and message alone', async () => {
    const { key, publicKey } = keysOf(each);
    const signature = await signMessage(key, scheme, MESSAGE);
    expect(isGoodSignature(publicKey, scheme, MESSAGE, signature)).toBe(true);
    expect(isGoodSignature(publicKey, scheme, OTHER, signature)).toBe(false);
    expect(isGoodSignature(publicKey, scheme, MESSAGE, Buffer.alloc(0))).toBe(false);
    const stranger = createPublicKey(
      signingKeyOf(
        scheme.family,
        (await newKeyPair(kind === 'rsa-4096' ? 'rsa-2048' : kind, 'test')).privateKey,
      ),
    );
    expect(isGoodSignature(stranger, scheme, MESSAGE, signature)).toBe(false);
  });

  it(`is good for OpenSSL${skippedWithout('openssl')}`, async (test) => {
    test.skip(programPath('openssl') === undefined);
    writeFileSync(file('signature'), await signMessage(keysOf(each).key, scheme, MESSAGE));
    const verified = dgst
      ? openssl(
          'dgst',
          ...hashOption,
          '-verify',
          file(`${kind}.pub`),
          '-signature',
          file('signature'),
          ...dgst,
          file('message'),
        )
      : openssl(
          'pkeyutl',
          '-verify',
          '-pubin',
          '-inkey',
          file(`${kind}.pub`),
          '-sigfile',
          file('signature'),
          ...raw,
          file('message'),
        );
    expect(verified).toMatch(/Verified OK|Verified Successfully/);
  });

  it(`is good where OpenSSL made it${skippedWithout('openssl')}`, (test) => {
    test.skip(programPath('openssl') === undefined);
    if (dgst)
      openssl(
        'dgst',
        ...hashOption,
        '-sign',
        file(`${kind}.key`),
        '-out',
        file('signature'),
        ...dgst,
        file('message'),
      );
    else
      openssl(
        'pkeyutl',
        '-sign',
        '-inkey',
        file(`${kind}.key`),
        '-out',
        file('signature'),
        ...raw,
        file('message'),
      );
    expect(isGoodSignature(keysOf(each).publicKey, scheme, MESSAGE, readFileSync(file('signature')))).toBe(
      true,
    );
  });
});

describe('PSS', () => {
  const [pss] = rsaCases('rsa-2048');

  it(`is good for an OpenSSL that finds the salt length out${skippedWithout('openssl')}`, async (test) => {
    test.skip(programPath('openssl') === undefined);
    writeFileSync(file('signature'), await signMessage(keysOf(pss!).key, pss!.scheme, MESSAGE));
    const options = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:auto'];
    expect(
      openssl(
        'dgst',
        '-sha256',
        '-verify',
        file('rsa-2048.pub'),
        '-signature',
        file('signature'),
        ...options,
        file('message'),
      ),
    ).toContain('Verified OK');
  });
});

describe.each(['sha256', 'sha512'] as const)('HMAC with %s', (hash) => {
  const scheme: SignatureScheme = { family: 'hmac', hash };
  const secret = Buffer.from('6b6579'.repeat(10), 'hex');
  const key = signingKeyOf('hmac', secret);

  it(`is what OpenSSL computes${skippedWithout('openssl')}`, async (test) => {
    test.skip(programPath('openssl') === undefined);
    const out = openssl(
      'dgst',
      `-${hash}`,
      '-mac',
      'HMAC',
      '-macopt',
      `hexkey:${secret.toString('hex')}`,
      file('message'),
    );
    expect(out).toContain((await signMessage(key, scheme, MESSAGE)).toString('hex'));
  });

  it('is good whole and not in part', async () => {
    const mac = await signMessage(key, scheme, MESSAGE);
    expect(isGoodSignature(key, scheme, MESSAGE, mac)).toBe(true);
    expect(isGoodSignature(key, scheme, OTHER, mac)).toBe(false);
    for (const length of [0, 1, 16, mac.length - 1])
      expect(isGoodSignature(key, scheme, MESSAGE, mac.subarray(0, length))).toBe(false);
    expect(isGoodSignature(key, scheme, MESSAGE, Buffer.concat([mac, Buffer.of(0)]))).toBe(false);
    for (let at = 0; at < mac.length * 8; at++) {
      const changed = Buffer.from(mac);
      changed[at >> 3]! ^= 1 << (at & 7);
      expect(isGoodSignature(key, scheme, MESSAGE, changed)).toBe(false);
    }
  });
});

it('reads a lent key once', () => {
  const { privateKey } = pairs.get('ed25519')!;
  expect(signingKeyOf('ed25519', privateKey)).toBe(signingKeyOf('ed25519', privateKey));
  expect(signingKeyOf('ed25519', Buffer.from(privateKey))).not.toBe(signingKeyOf('ed25519', privateKey));
});
