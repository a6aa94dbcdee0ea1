import { expect, it } from 'vitest';
import { createRandom, systemRandom } from '../../../platform/crypto/random.js';
import { accessTokenKey, hashToken, newAccessToken } from './token-format.js';

const NOW_MS = 1_764_000_000_123;

it('an access token is 26 random bytes and the time of its mint, in the form of the contract', () => {
  const random = createRandom((length) => Buffer.alloc(length, 7));
  const { text } = newAccessToken(random, 'test', NOW_MS);
  expect(text.reveal()).toMatch(/^kc_test_[\w-]{43}$/);
  const bytes = Buffer.from(text.reveal().slice('kc_test_'.length), 'base64url');
  expect(bytes.subarray(0, 26)).toEqual(Buffer.alloc(26, 7));
  expect(bytes.readUIntBE(26, 6)).toBe(NOW_MS);
});

it('is found by what its text says', () => {
  const { text, hash, time } = newAccessToken(systemRandom, 'live', NOW_MS);
  expect(hash).toEqual(hashToken(text.reveal()));
  expect(time).toBe(NOW_MS.toString(16).padStart(12, '0'));
  expect(accessTokenKey(text.reveal())).toEqual({ hash, time });
});

it('is never like a capability token of the AI gateway', () => {
  // `a_` is what these two bytes begin with in base64url.
  const drawn = [Buffer.alloc(26, 0x6b).fill(0xff, 1), Buffer.alloc(26, 1)];
  const { text } = newAccessToken(
    createRandom(() => drawn.shift()!),
    'live',
    NOW_MS,
  );
  expect(drawn).toEqual([]);
  expect(text.reveal()).not.toMatch(/^kc_live_a_/);
});

it.each(['', 'kc_live_', 'kc_live_ü', `kc_live_${'x'.repeat(43)}`, 'y'.repeat(70)])(
  'asks for what is no token of ours under a key of its own: %s',
  (text) => {
    expect(accessTokenKey(text)).toEqual({
      hash: hashToken(text),
      time: expect.stringMatching(/^[0-9a-f]*$/),
    });
  },
);
