import type { Scope } from '../../kernel/ids.js';
import type { Secret } from '../../kernel/secret.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { SecretType } from './tables.js';

/** What every type of secret has; its values are by environment, and those of `oauth2` in tables of their own. */
export interface StoredSecret {
  readonly id: string;
  readonly scope: Scope;
  /** Without spaces: `normalizeName`. */
  readonly name: string;
  readonly type: SecretType;
  readonly baseEnvironment: string;
  readonly description: string | null;
  readonly collectionId: string | null;
  readonly expiresAtMs: number | null;
  /** False: an expired value is sent with a warning. */
  readonly isExpiryStrict: boolean;
  /** Where it may be sent, names or `*.example.com`; null = unbound: by routes anywhere, by ephemeral calls nowhere. */
  readonly allowedHosts: readonly string[] | null;
  readonly createdBy: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** How a placeholder names a secret (dataplane.md §2.2). */
export interface SecretReference {
  readonly by: 'name' | 'id';
  readonly text: string;
}

/** What a value is asked for. */
export interface SecretUse {
  /** Whose caller chose the target: an administrator who wrote the route, or anybody who may call. */
  readonly via: 'route' | 'ephemeral';
  /** Null: the secret's base environment. */
  readonly environment: string | null;
  /** The target, A-labels in lower case. */
  readonly host: string;
  /** Without TLS: whoever is on the way may answer for the host, and reads what is sent. */
  readonly isPlain: boolean;
}

export interface ResolvedSecret {
  readonly secretId: string;
  readonly name: string;
  readonly value: Secret<string>;
  /** Sent all the same, since its expiry is not strict: to be warned of. */
  readonly isExpired: boolean;
}

/** A certificate with its key, for upstream mTLS. */
export interface CertificateWithKey {
  /** Of the value: each write has another one. */
  readonly id: string;
  readonly version: number;
  readonly key: Secret<string>;
  /** The leaf first, then what it was stored with. */
  readonly certificatePem: string;
  /** It has, and its expiry is not strict. */
  readonly isExpired: boolean;
}

/** The values of type `oauth2`. */
export interface OAuth2Values {
  /** The current access token, refreshed first where it has expired. May call its token endpoint: never in a transaction. */
  render(scope: Scope, secret: StoredSecret, environment: string): Promise<Secret<string>>;
}

/** Told of every write of secrets and values, in its transaction. */
export type OnSecretWrite = (tx: Transaction, scope: Scope) => Promise<void>;
