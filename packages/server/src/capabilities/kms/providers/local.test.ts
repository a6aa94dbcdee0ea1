import { expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { createRandom, systemRandom } from '../../../platform/crypto/random.js';
import { kmsProviderContract } from './contract.js';
import { createLocalProvider } from './local.js';

const local = (fill: number) =>
  createLocalProvider({ rootKey: new Secret(Buffer.alloc(32, fill)), random: systemRandom });

kmsProviderContract(
  () => local(1),
  () => local(2),
);

it('wraps to the recorded bytes', async () => {
  const random = createRandom((length) => Buffer.alloc(length, 9));
  const provider = createLocalProvider({ rootKey: new Secret(Buffer.alloc(32, 1)), random });
  const wrapped = await provider.wrap(Buffer.alloc(32, 2), {
    tenantId: '7b1f2c3d-0000-4000-8000-000000000001' as TenantId,
    version: 7,
  });
  // Made with another implementation (Python's `cryptography`).
  expect(wrapped.toString('hex')).toBe(
    '09090909090909090909090908bdb4c9dfefb52069d1451e9ee89db599a0ca556bfd2c3b16cf0ef565bab484cc06db509e5bb6e8145a1f4d0aaa58bf',
  );
});

it('asserts the length of the root key', () => {
  expect(() => createLocalProvider({ rootKey: new Secret(Buffer.alloc(31)), random: systemRandom })).toThrow(
    'root key length',
  );
});
