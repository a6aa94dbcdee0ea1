import { expect, it } from 'vitest';
import { createRandom } from '../../platform/crypto/random.js';
import { newExternalKey } from './external-keys.js';

it('draws a key again that a command line would take for an option', () => {
  // The first six bits are the first character: 0xf8 a hyphen, 0xfc an underscore.
  const first = [0xf8, 0xfb, 0xfc];
  const random = createRandom((length) => Buffer.alloc(length, first.shift()));
  const key = newExternalKey(random).reveal();
  expect(first).toEqual([]);
  expect(key).toEqual(Buffer.alloc(32, 0xfc));
  expect(key.toString('base64url')).toMatch(/^_/);
});
