import { Secret } from '../../kernel/secret.js';
import { sha256 } from './hashing.js';
import type { Random } from './random.js';

/** Shown once; what is stored of it is its SHA-256. */
export interface OpaqueToken {
  readonly token: Secret<string>;
  readonly hash: Buffer;
}

const TOKEN_BYTES = 32;

/** 32 random bytes as base64url, most kinds without a prefix (contract README §4). */
export function newOpaqueToken(random: Pick<Random, 'bytes'>, prefix = ''): OpaqueToken {
  const text = `${prefix}${random.bytes(TOKEN_BYTES).toString('base64url')}`;
  return { token: new Secret(text), hash: sha256(text) };
}
