import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { CloudKey } from '../capabilities/kms/cloud-key.js';
import type { Clouds } from '../capabilities/kms/index.js';
import { bindingOf, probeBothWays } from '../capabilities/kms/providers/binding.js';
import { packWrapped, unpackWrapped } from '../capabilities/kms/providers/cloud/wrapped-bytes.js';
import { KmsFailure, type KmsFailureReason, type KmsProvider } from '../capabilities/kms/providers/types.js';
import { systemRandom } from '../platform/crypto/random.js';

/** Every key of every cloud, in memory: for what is about a tenant's KMS and not about the wire. */
export interface MemoryClouds extends Clouds {
  ownIdentity: Clouds['ownIdentity'];
  /** Why each call fails; null = none does. */
  failure: KmsFailureReason | null;
  /** References of keys that were destroyed. */
  readonly lostKeys: Set<string>;
  mayWrap: boolean;
  asksForExternalId: boolean;
  /** Of each key: a newer one wraps from now on. */
  keyVersion: number;
  /** `wrap` and `unwrap`, in order. */
  readonly calls: ('wrap' | 'unwrap')[];
}

const VERSION = '/cryptoKeyVersions/';

export function createMemoryClouds(): MemoryClouds {
  const keys = new Map<string, Buffer>();
  const keyOf = (name: string) => {
    const key = keys.get(name) ?? randomBytes(32);
    keys.set(name, key);
    return key;
  };
  const clouds: MemoryClouds = {
    failure: null,
    lostKeys: new Set(),
    mayWrap: true,
    asksForExternalId: true,
    keyVersion: 1,
    calls: [],
    providerOf: (key, wrapMethod) => providerOf(key, wrapMethod),
    ownIdentity: async (cloud) => (cloud === 'aws' ? '999988887777' : null),
    mayAssumeWithoutExternalId: async (key) => key.provider === 'aws' && !clouds.asksForExternalId,
  };

  function called(verb: 'wrap' | 'unwrap', keyRef: string): void {
    clouds.calls.push(verb);
    if (clouds.lostKeys.has(keyRef)) throw new KmsFailure('key_unusable', 'key', 'OfTheTest');
    if (clouds.failure !== null) throw new KmsFailure(clouds.failure, 'key', 'OfTheTest');
    if (verb === 'wrap' && !clouds.mayWrap) throw new KmsFailure('access_denied', 'key', 'OfTheTest');
  }

  function providerOf({ keyRef }: CloudKey, wrapMethod: 'operator_kms' | 'customer_kms'): KmsProvider {
    const wrap: KmsProvider['wrap'] = async (dek, context) => {
      called('wrap', keyRef);
      const keyName = `${keyRef}${VERSION}${clouds.keyVersion}`;
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', keyOf(keyName), iv).setAAD(bindingOf(context));
      const sealed = Buffer.concat([cipher.update(dek), cipher.final()]);
      return packWrapped({ keyName, ciphertext: Buffer.concat([iv, cipher.getAuthTag(), sealed]) });
    };
    const unwrap: KmsProvider['unwrap'] = async (wrapped, context) => {
      called('unwrap', keyRef);
      const { keyName, ciphertext } = unpackWrapped(wrapped);
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyOf(keyName), ciphertext.subarray(0, 12))
          .setAAD(bindingOf(context))
          .setAuthTag(ciphertext.subarray(12, 28));
        return Buffer.concat([decipher.update(ciphertext.subarray(28)), decipher.final()]);
      } catch {
        throw new KmsFailure('bad_ciphertext', 'key', 'OfTheTest');
      }
    };
    return {
      describe: () => ({ wrapMethod, keyReference: keyRef }),
      wrap,
      unwrap,
      probe: () => probeBothWays({ wrap, unwrap }, systemRandom),
    };
  }

  return clouds;
}
