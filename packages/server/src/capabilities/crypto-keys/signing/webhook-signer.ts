import { isAppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../kernel/ids.js';
import { assertCan } from '../operation-of.js';
import type { CryptoKeys } from '../service.js';
import { type WebhookFormat, webhookSignature } from './webhook-formats.js';

/**
 * Signatures of deliveries, with a key that a webhook names. No audit row tells of one: a delivery of the row would be the
 * next to be signed.
 */
export interface WebhookSigner {
  /** 404 of an unknown key, 400 of one that makes no HMAC, in the name of `field`. */
  check(scope: Scope, keyId: string, field: string): Promise<void>;
  /** With the version that is active now; 404 where the key is gone. */
  sign(
    scope: Scope,
    keyId: string,
    message: { readonly format: WebhookFormat; readonly timestampSeconds: number; readonly body: Uint8Array },
  ): Promise<string>;
  /** What may stand under a message: by the version that is active, and by the one before it while there is one. */
  signatures(
    scope: Scope,
    keyId: string,
    message: { readonly format: WebhookFormat; readonly timestampSeconds: number; readonly body: Uint8Array },
  ): Promise<string[]>;
}

export function createWebhookSigner(cryptoKeys: Pick<CryptoKeys, 'getActive' | 'use'>): WebhookSigner {
  return {
    async check(scope, keyId, field) {
      assertCan(await cryptoKeys.getActive(scope, keyId), 'webhook-sign', field);
    },

    async sign(scope, keyId, { format, timestampSeconds, body }) {
      const key = await cryptoKeys.getActive(scope, keyId);
      return cryptoKeys.use(scope, key.id, key.currentVersion, (secret) =>
        webhookSignature(format, secret, timestampSeconds, body),
      );
    },

    async signatures(scope, keyId, { format, timestampSeconds, body }) {
      const { id, currentVersion } = await cryptoKeys.getActive(scope, keyId);
      const values: string[] = [];
      for (const version of [currentVersion, currentVersion - 1].filter((one) => one > 0)) {
        try {
          const sign = (secret: Buffer) => webhookSignature(format, secret, timestampSeconds, body);
          values.push(await cryptoKeys.use(scope, id, version, sign));
        } catch (error) {
          if (version === currentVersion || !isAppError(error, 'key_version_destroyed')) throw error;
        }
      }
      return values;
    },
  };
}
