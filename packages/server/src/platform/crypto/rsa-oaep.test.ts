import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { skippedWithout } from '../../testing/programs.js';
import { type KeyPair, newKeyPair } from './key-pairs.js';
import { publicPemOf } from './public-keys.js';
import { encryptOaep, oaepBytesMax, oaepOpenerOf } from './rsa-oaep.js';

const OPTIONS = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'];

const skipped = skippedWithout('openssl');

describe.skipIf(skipped !== '')(`RSA-OAEP with SHA-256${skipped}`, () => {
  let folder: string;
  let pair: KeyPair;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'knox-oaep-'));
    pair = await newKeyPair('rsa-2048', 'test');
    writeFileSync(join(folder, 'private.der'), pair.privateKey);
    writeFileSync(join(folder, 'public.pem'), publicPemOf(pair.publicKey));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const openssl = (act: string[], input: Uint8Array, options = OPTIONS) =>
    execFileSync('openssl', ['pkeyutl', ...act, ...options.flatMap((option) => ['-pkeyopt', option])], {
      input,
      cwd: folder,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  const outside = (plaintext: Uint8Array, options?: string[]) =>
    openssl(['-encrypt', '-pubin', '-inkey', 'public.pem'], plaintext, options);

  it.each([0, 1, 100, oaepBytesMax(2048)])(
    'is what OpenSSL reads and writes, with %i bytes',
    async (size) => {
      const plaintext = Buffer.alloc(size, 7);
      const sealed = encryptOaep(pair.publicKey, plaintext);
      expect(openssl(['-decrypt', '-keyform', 'DER', '-inkey', 'private.der'], sealed)).toEqual(plaintext);
      if (size > 0) expect(await oaepOpenerOf(pair.privateKey)(outside(plaintext))).toEqual(plaintext);
      expect(await oaepOpenerOf(pair.privateKey)(sealed)).toEqual(plaintext);
    },
  );

  it.each([
    ['SHA-1', ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha1', 'rsa_mgf1_md:sha1']],
    ['SHA-1 for the mask', ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha1']],
    ['a label', [...OPTIONS, 'rsa_oaep_label:01']],
    ['PKCS #1 v1.5', ['rsa_padding_mode:pkcs1']],
  ])('refuses what was encrypted with %s', async (_what, options) => {
    const sealed = outside(Buffer.from('x'), options);
    await expect(oaepOpenerOf(pair.privateKey)(sealed)).rejects.toThrow('decryption refused');
  });

  it('opens with a key that was zeroed as soon as it was lent', async () => {
    const sealed = encryptOaep(pair.publicKey, Buffer.from('x'));
    const lent = Buffer.from(pair.privateKey);
    const open = oaepOpenerOf(lent);
    lent.fill(0);
    expect((await open(sealed)).toString()).toBe('x');
  });

  it.each(['', '00', 'ff'.repeat(256)])('refuses %s', async (hex) => {
    const opening = oaepOpenerOf(pair.privateKey)(Buffer.from(hex, 'hex'));
    await expect(opening).rejects.toThrow('decryption refused');
  });

  it('takes no more than the modulus has room for', () => {
    expect([2048, 3072, 4096].map(oaepBytesMax)).toEqual([190, 318, 446]);
    expect(() => encryptOaep(pair.publicKey, Buffer.alloc(191))).toThrow();
  });
});
