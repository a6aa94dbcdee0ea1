import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { publicJwkOf, publicPemOf } from '../../platform/crypto/public-keys.js';
import type { NewNamedKey, PublicKey } from './records.js';
import type { CryptoKey } from './store.js';
import { KEY_MODES, KEY_TYPES } from './tables.js';

const VERSION = /^[1-9][0-9]{0,8}$/;

const keyReference = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .describe(
    'Name or id of the key; one that belongs to a vault has no name: its id, the `crypto_key_id` of the vault, moves its latch and destroys its versions.',
  );
export const keyParams = z.object({ name: keyReference });
const version = z
  .string()
  .regex(VERSION, 'must be a whole number from 1')
  .transform(Number)
  .describe('Number of the version.');
export const keyVersionParams = z.object({
  name: keyReference,
  n: version,
});

/** A path with such a segment is rewritten by clients before it is sent. */
const DOT_SEGMENTS = ['.', '..'];
const newName = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((name) => !/\p{Cc}/u.test(name), 'must not hold control characters')
  .refine((name) => name.trim() === name, 'must not begin or end with white space')
  .refine((name) => !DOT_SEGMENTS.includes(name), 'must not be a dot segment of a path')
  .refine((name) => !isUuid(name), 'must not look like an id')
  .describe('Unique in its mode; percent-encoded in paths.')
  .meta({ examples: ['customer pii'] });

export const createKeyBody = z
  .strictObject({
    name: newName,
    key_type: z
      .enum(KEY_TYPES, `must be one of ${KEY_TYPES.join(', ')}`)
      .default('aes256-gcm')
      .describe('What the key can do follows from it.'),
    mode: z
      .enum(KEY_MODES, `must be ${KEY_MODES.join(' or ')}`)
      .default('cloud-only')
      .describe('`bundled`: its material may be shipped to the resident agent; without one both are alike.'),
    description: z
      .string()
      .max(LIMITS.descriptionCharactersMax)
      .nullable()
      .default(null)
      .describe('For people.'),
  })
  .transform(({ key_type, ...rest }): NewNamedKey => ({ ...rest, keyType: key_type }));

export const updateKeyBody = z.strictObject({
  deletion_allowed: z.boolean().describe('True: versions that are not the active one can be destroyed.'),
});

export const keyLatchResponse = z
  .object({
    name: z.string().describe('Name of the key, its id where it has none.'),
    deletion_allowed: z.boolean(),
  })
  .meta({ id: 'CryptoKeyLatch' });

export const destroyedResponse = z
  .object({ destroyed: z.number().int().positive().describe('Number of the version.') })
  .meta({ id: 'DestroyedKeyVersion' });

export function keyLatchWire(key: CryptoKey): z.input<typeof keyLatchResponse> {
  return { name: key.name ?? key.id, deletion_allowed: key.deletionAllowed };
}

const keyRow = {
  id: z.string().meta({ format: 'uuid' }),
  name: z.string(),
  key_type: z.enum(KEY_TYPES),
  mode: z.enum(KEY_MODES),
  current_version: z.number().int().positive().describe('The active one.'),
  deletion_allowed: z.boolean().describe('The latch: whether versions can be destroyed.'),
  description: z.string().nullable(),
  created_at: z.string().meta({ format: 'date-time' }),
  updated_at: z.string().meta({ format: 'date-time' }),
};
export const listedKeyResponse = z.object(keyRow).meta({ id: 'ListedCryptoKey' });
export const keysResponse = z.array(listedKeyResponse);
export const keyResponse = z
  .object({
    ...keyRow,
    tenant_id: z.string().meta({ format: 'uuid' }),
    created_by: z.string().nullable().describe('Row id of the user, key or client that made it.'),
    sandbox: z.boolean(),
  })
  .meta({ id: 'CryptoKey' });

export function listedKeyWire(key: CryptoKey): z.input<typeof listedKeyResponse> {
  return {
    id: key.id,
    name: key.name ?? key.id,
    key_type: key.keyType,
    mode: key.mode,
    current_version: key.currentVersion,
    deletion_allowed: key.deletionAllowed,
    description: key.description,
    created_at: isoTime(key.createdAtMs),
    updated_at: isoTime(key.updatedAtMs),
  };
}

export function keyWire({ tenantId, sandbox }: Scope, key: CryptoKey): z.input<typeof keyResponse> {
  return { ...listedKeyWire(key), tenant_id: tenantId, created_by: key.createdBy, sandbox };
}

export const rotateKeyBody = z.strictObject({});
export const rotatedKeyResponse = z
  .object({ new_version: z.number().int().positive() })
  .meta({ id: 'RotatedCryptoKey' });

export const publicKeyQuery = z.object({ version: version.optional() });
export const publicKeyResponse = z
  .object({
    pem: z.string().describe('SubjectPublicKeyInfo in PEM.'),
    jwk: z.record(z.string(), z.string()).describe('RFC 7517, its `kid` as in tokens of that version.'),
    key_version: z.number().int().positive(),
  })
  .meta({ id: 'CryptoPublicKey' });

/** What a JWK may be used for, of types that have one use. */
const JWK_USES: Partial<Record<CryptoKey['keyType'], Record<string, string>>> = {
  'ecdsa-p256': { use: 'sig', alg: 'ES256' },
  'ecdsa-p384': { use: 'sig', alg: 'ES384' },
  ed25519: { use: 'sig', alg: 'EdDSA' },
};

export function publicKeyWire({ key, version, publicKey }: PublicKey): z.input<typeof publicKeyResponse> {
  const members = publicJwkOf(publicKey) as Record<string, string>;
  const jwk = { ...members, kid: `${key.id}:v${version}`, ...JWK_USES[key.keyType] };
  return { pem: publicPemOf(publicKey), jwk, key_version: version };
}
