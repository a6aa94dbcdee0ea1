import type { Clock } from '../../../kernel/clock.js';
import { isAppError, notFound } from '../../../kernel/errors.js';
import { modeOf, type Scope, type TokenId } from '../../../kernel/ids.js';
import type { Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { DecryptionRefused } from '../../../platform/crypto/authenticated-cipher.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import {
  type CryptoKeys,
  openPortable,
  type Portable,
  parsePortable,
  sealPortable,
} from '../../crypto-keys/index.js';
import type { VaultDefinition } from '../definitions.js';
import type { Token } from './store.js';
import { takeText, withVaultKey } from './vault-key.js';

/** Of a token that has no row: when it was made is not known. */
export interface DualToken extends Omit<Token, 'createdAtMs'> {
  readonly createdAtMs: null;
  readonly value: Secret<string>;
  readonly metadata: null;
  readonly keyVersion: number;
}

/** Vaults of custody mode `dual`: the customer keeps the ciphertext, which is the token, and we keep the key. */
export interface DualCustody {
  seal(caller: Caller, vault: VaultDefinition, value: Secret<string>): Promise<Token>;
  /** 404 for what this vault has not made, 410 `token_erased`. */
  open(scope: Scope, vault: VaultDefinition, token: string): Promise<DualToken>;
  /** The same refusals but that of a forged ciphertext, which only opening finds. */
  check(scope: Scope, vault: VaultDefinition, token: string): Promise<void>;
}

export interface DualCustodyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'use'>;
}

export function createDualCustody({ clock, random, cryptoKeys }: DualCustodyDeps): DualCustody {
  function portableOf(scope: Scope, vault: VaultDefinition, token: string): Portable {
    const portable = parsePortable(token);
    const { tenantId, keyId } = portable?.keyRef ?? {};
    if (!portable || tenantId !== scope.tenantId || keyId !== vault.cryptoKeyId) throw notFound('Token');
    return portable;
  }

  async function withKey<T>(
    scope: Scope,
    vault: VaultDefinition,
    portable: Portable,
    use: (privateKey: Buffer) => T,
  ): Promise<T> {
    const { version } = portable.keyRef;
    try {
      return await withVaultKey(cryptoKeys, scope, vault, version, use);
    } catch (error) {
      if (error instanceof DecryptionRefused || isAppError(error, 'not_found')) throw notFound('Token');
      throw error;
    }
  }

  return {
    async check(scope, vault, token) {
      await withKey(scope, vault, portableOf(scope, vault, token), () => undefined);
    },

    async seal(caller, vault, value) {
      const { scope, apiKeyId, userId } = caller.principal;
      const { cryptoKeyId: keyId, keyVersion: version } = vault;
      const plaintext = Buffer.from(value.reveal());
      const token = await cryptoKeys.use(scope, keyId, version, (privateKey) =>
        sealPortable(random, privateKey, {
          keyRef: { tenantId: scope.tenantId, keyId, version },
          datatype: 's',
          plaintext,
          role: roleOf(scope, vault),
        }),
      );
      plaintext.fill(0);
      return {
        id: idOf(token),
        vaultId: vault.id,
        token,
        createdAtMs: clock.nowMs(),
        expiresAtMs: null,
        cardExpiresOn: null,
        createdByApiKeyId: apiKeyId,
        createdByUserId: userId,
      };
    },

    async open(scope, vault, token) {
      const portable = portableOf(scope, vault, token);
      const value = await withKey(scope, vault, portable, (privateKey) =>
        takeText(openPortable(privateKey, portable, roleOf(scope, vault))),
      );
      return {
        id: idOf(token),
        vaultId: vault.id,
        token,
        createdAtMs: null,
        expiresAtMs: null,
        cardExpiresOn: null,
        createdByApiKeyId: null,
        createdByUserId: null,
        value,
        metadata: null,
        keyVersion: portable.keyRef.version,
      };
    },
  };
}

/** Mode and vault; the tenant stands in the key's reference, which is authenticated (docs/decisions/0053). */
function roleOf(scope: Scope, vault: VaultDefinition): string {
  return `knox.vault:${modeOf(scope)}:${vault.id}`;
}

/** The same for the same ciphertext, so that audit rows of its making and its reading name one token (RFC 9562 §5.8). */
function idOf(token: string): TokenId {
  const bytes = sha256(token).subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') as TokenId;
}
