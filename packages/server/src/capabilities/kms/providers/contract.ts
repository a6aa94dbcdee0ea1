import { describe, expect, it } from 'vitest';
import type { TenantId } from '../../../kernel/ids.js';
import { systemRandom } from '../../../platform/crypto/random.js';
import type { KmsProvider, WrapContext } from './types.js';

const REJECTED = { name: 'KmsFailure', reason: 'bad_ciphertext' };

/** What every KMS provider must do; `open` gives one with the key it always has, `openOther` one with another key. */
export function kmsProviderContract(open: () => KmsProvider, openOther: () => KmsProvider): void {
  const context: WrapContext = { tenantId: 'b4f9a6be-7d0c-4f8e-9d3c-0a3f4a0e6c11' as TenantId, version: 3 };

  describe('KMS provider contract', () => {
    it('gives back what it wrapped, also through a new instance', async () => {
      const dek = systemRandom.bytes(32);
      const wrapped = await open().wrap(dek, context);
      expect(await open().unwrap(wrapped, context)).toEqual(dek);
    });

    it('does not show the key in the wrapped bytes, nor wrap alike twice', async () => {
      const dek = systemRandom.bytes(32);
      const provider = open();
      const wrapped = await provider.wrap(dek, context);
      expect(wrapped.includes(dek)).toBe(false);
      expect((await provider.wrap(dek, context)).equals(wrapped)).toBe(false);
    });

    it.each([
      ['another tenant', { tenantId: 'b4f9a6be-7d0c-4f8e-9d3c-0a3f4a0e6c12' as TenantId }],
      ['another version', { version: 4 }],
    ])('rejects %s', async (_what, change) => {
      const provider = open();
      const wrapped = await provider.wrap(systemRandom.bytes(32), context);
      await expect(provider.unwrap(wrapped, { ...context, ...change })).rejects.toMatchObject(REJECTED);
    });

    it('rejects changed, shortened and empty bytes', async () => {
      const provider = open();
      const wrapped = await provider.wrap(systemRandom.bytes(32), context);
      const changed = Buffer.from(wrapped);
      changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
      for (const bad of [changed, wrapped.subarray(0, -1), wrapped.subarray(0, 5), Buffer.alloc(0)]) {
        await expect(provider.unwrap(bad, context)).rejects.toMatchObject(REJECTED);
      }
    });

    it("rejects another key's bytes", async () => {
      const wrapped = await openOther().wrap(systemRandom.bytes(32), context);
      await expect(open().unwrap(wrapped, context)).rejects.toMatchObject(REJECTED);
    });

    it('passes its own probe and names its key without showing it', async () => {
      await expect(open().probe()).resolves.toBeUndefined();
      const { wrapMethod, keyReference } = open().describe();
      expect(wrapMethod).not.toBe('');
      expect(keyReference).not.toBe('');
    });
  });
}
