import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import type { CryptoKeyId, TenantId } from '../../kernel/ids.js';
import { systemRandom } from '../../platform/crypto/random.js';
import { type Bundle, sealByWebCrypto } from '../../testing/sealing-by-webcrypto.js';
import { openPortable, parsePortable, sealPortable } from './portable-format.js';

const KEY = Buffer.alloc(32, 7);
const keyRef = {
  tenantId: 'aaaaaaaa-0000-4000-8000-000000000001' as TenantId,
  keyId: 'bbbbbbbb-0000-4000-8000-000000000001' as CryptoKeyId,
  version: 3,
};
const seal = (text: string, role = '') =>
  sealPortable(systemRandom, KEY, { keyRef, datatype: 's', plaintext: Buffer.from(text), role });
const open = (text: string, role = '', key = KEY) => openPortable(key, parsePortable(text)!, role).toString();

/**
 * Made by a second implementation (Python's cryptography) after clients-pki.md §5: private keys of 32 bytes 07 and 09,
 * role `pii`. Not known to be byte-compatible with the vendor.
 */
const VECTOR = [
  'kc',
  '1',
  's',
  'YWFhYWFhYWEtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAxOmJiYmJiYmJiLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMToz',
  'BHE1-k_ZOgnc6Yu_aBtL_PUOfA1jVOYq-wv_KjQpYXhl7UwfAt25Aj7lalV-UV1qncZsEfIglg3llDNN9Yh3ZyQ',
  'AAECAwQFBgcICQoL',
  '3O7s2Cv54DCYx2FzkawrPWXe98lS2a1G0A',
  '$',
].join(':');

describe('portable ciphertexts', () => {
  it.each(['', 'x', 'ż💳\0', 'y'.repeat(70_000)])('opens what it has sealed (%#)', (text) => {
    const sealed = seal(text);
    expect(parsePortable(sealed)).toMatchObject({ datatype: 's', keyRef });
    expect(open(sealed)).toBe(text);
    expect(seal(text)).not.toBe(sealed);
  });

  it('opens what another implementation has sealed', () => {
    expect(open(VECTOR, 'pii')).toBe('canary ż');
    expect(() => open(VECTOR)).toThrow('decryption refused');
  });

  it('does not open with another key, role, or with any character changed', () => {
    const sealed = seal('canary', 'role-a');
    expect(open(sealed, 'role-a')).toBe('canary');
    expect(() => open(sealed, 'role-b')).toThrow('decryption refused');
    expect(() => open(sealed, 'role-a', Buffer.alloc(32, 8))).toThrow('decryption refused');
    for (let at = 5; at < sealed.length - 2; at += 1) {
      if (sealed[at] === ':') continue;
      const changed = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`;
      if (parsePortable(changed) === null) continue;
      expect(() => open(changed, 'role-a')).toThrow('decryption refused');
    }
  });

  it('does not open under a point that is not on the curve', () => {
    const parts = seal('canary').split(':');
    parts[4] = Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]).toString('base64url');
    expect(() => open(parts.join(':'))).toThrow('decryption refused');
  });

  test.each(['', 'kc:1:', 'kc:2:s:a:b:c:d:$', 'x'])('%j is none', (text) => {
    expect(parsePortable(text)).toBeNull();
  });

  it('has one spelling', () => {
    // 17 bytes need 23 characters, the last of which has two bits to spare.
    const sealed = seal('x');
    const last = sealed.at(-3)!;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const other = alphabet[alphabet.indexOf(last) ^ 1]!;
    expect(parsePortable(`${sealed.slice(0, -3)}${other}:$`)).toBeNull();
  });

  it('is the whole text or none', () => {
    const sealed = seal('canary');
    for (const text of [` ${sealed}`, `${sealed} `, `${sealed}\n`, `a${sealed}`, sealed.slice(0, -1)])
      expect(parsePortable(text)).toBeNull();
  });
});

/** docs/portable-encryption-vectors.json, made by a second implementation, and WebCrypto as the third. */
describe('the published vectors', () => {
  const { recipient, vectors } = JSON.parse(
    readFileSync(new URL('../../../../../docs/portable-encryption-vectors.json', import.meta.url), 'utf8'),
  ) as {
    recipient: Bundle & { private_key_hex: string };
    vectors: Record<
      'datatype' | 'role' | 'plaintext_hex' | 'ephemeral_private_key_hex' | 'iv_hex' | 'ciphertext',
      string
    >[];
  };

  it.each(vectors)(
    '$datatype with the role "$role" are opened, and sealed alike by WebCrypto',
    async (vector) => {
      const key = Buffer.from(recipient.private_key_hex, 'hex');
      const portable = parsePortable(vector.ciphertext)!;
      expect(openPortable(key, portable, vector.role).toString('hex')).toBe(vector.plaintext_hex);
      const ephemeral = await ephemeralPair(
        Buffer.from(vector.ephemeral_private_key_hex, 'hex'),
        portable.ephemeral,
      );
      const plaintext = new Uint8Array(Buffer.from(vector.plaintext_hex, 'hex'));
      const iv = new Uint8Array(Buffer.from(vector.iv_hex, 'hex'));
      const drawn = { ephemeral, iv };
      expect(await sealByWebCrypto(recipient, vector.datatype, plaintext, vector.role, drawn)).toBe(
        vector.ciphertext,
      );
    },
  );

  async function ephemeralPair(scalar: Buffer, point: Buffer) {
    const P256 = { name: 'ECDH', namedCurve: 'P-256' } as const;
    const [d, x, y] = [scalar, point.subarray(1, 33), point.subarray(33)].map((part) =>
      part.toString('base64url'),
    );
    const jwk = { kty: 'EC', crv: 'P-256', x: x!, y: y! };
    return {
      privateKey: await webcrypto.subtle.importKey('jwk', { ...jwk, d: d! }, P256, false, ['deriveBits']),
      publicKey: await webcrypto.subtle.importKey('jwk', jwk, P256, true, []),
    };
  }
});

describe('a long text', () => {
  it('is taken apart by no expression', () => {
    const sealed = seal('y'.repeat(9_000_000));
    expect(open(sealed)).toHaveLength(9_000_000);
    expect(parsePortable(`${sealed.slice(0, -3)}!:$`)).toBeNull();
  });
});
