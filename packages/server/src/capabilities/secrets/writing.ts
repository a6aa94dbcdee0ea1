import type { Clock } from '../../kernel/clock.js';
import type { IdSource, Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { type Caller, subjectOf } from '../../kernel/principal.js';
import type { Transaction } from '../../platform/storage/database.js';
import type { Environments } from '../environments/index.js';
import type { Plans } from '../plans/index.js';
import type { CertificateInfo } from './certificates/bundle.js';
import { tooManySecrets, unknownEnvironment } from './errors.js';
import type { SecretStore } from './store.js';
import type { SecretType } from './tables.js';
import type { StoredSecret } from './types.js';
import type { SecretValueStore, StoredValue } from './value-store.js';
import type { SealedValue } from './values.js';

/** What is said of a secret when it is made. */
export interface NewTerms {
  /** `normalizeName` has been over it. */
  readonly name: string;
  readonly description: string | null;
  /** The base; null: the default environment. */
  readonly environment: string | null;
  readonly collectionId: string | null;
  readonly expiresAtMs: number | null;
  readonly isExpiryStrict: boolean;
  readonly allowedHosts: readonly string[] | null;
}

export interface WriteOptions {
  readonly certificate?: CertificateInfo;
  /** Absent: as it was. */
  readonly expiresAtOverrideMs?: number | null;
}

/** What makes secrets of every type: the row, its name, its place in the plan; audit row and answer are the maker's. */
export interface SecretWriting {
  /** Before the transaction: what the plan has room for. */
  roomFor(scope: Scope): ReturnType<Plans['roomFor']>;
  /** 402, 409 of a name or of too many, 400 of an environment that there is not. */
  insert(
    tx: Transaction,
    caller: Caller,
    room: Awaited<ReturnType<Plans['roomFor']>>,
    type: SecretType,
    terms: NewTerms,
  ): Promise<StoredSecret>;
  /** The first value of an environment, or the next one in its place. `field` names the environment in a 400. */
  write(
    tx: Transaction,
    secret: StoredSecret,
    environment: string,
    sealed: SealedValue,
    options?: WriteOptions & { readonly field?: string },
  ): Promise<StoredValue>;
}

export interface SecretWritingDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly environments: Pick<Environments, 'find' | 'defaultOf'>;
  readonly store: SecretStore;
  readonly valueStore: SecretValueStore;
}

export function createSecretWriting(deps: SecretWritingDeps): SecretWriting {
  const { clock, ids, plans, environments, store, valueStore } = deps;

  async function requireEnvironment(
    tx: Transaction,
    scope: Scope,
    name: string,
    field = 'environment',
  ): Promise<void> {
    if (!(await environments.find(scope, name, tx))) throw unknownEnvironment(field, name);
  }

  async function baseOf(tx: Transaction, scope: Scope, name: string | null): Promise<string> {
    if (name === null) return (await environments.defaultOf(scope, tx)).name;
    await requireEnvironment(tx, scope, name);
    return name;
  }

  return {
    roomFor: (scope) => plans.roomFor(scope, 'secrets'),

    async insert(tx, { principal }, room, type, { environment, ...terms }) {
      const { scope } = principal;
      const nowMs = clock.nowMs();
      const secret: StoredSecret = {
        ...terms,
        id: ids.uuid(),
        scope,
        type,
        baseEnvironment: await baseOf(tx, scope, environment),
        createdBy: subjectOf(principal),
        createdAtMs: nowMs,
        updatedAtMs: nowMs,
      };
      const used = await store.countIn(tx, scope);
      room.require(used);
      if (used >= LIMITS.secretsMax) throw tooManySecrets();
      await store.insert(tx, secret);
      return secret;
    },

    async write(tx, secret, environment, { id, envelope }, { field, ...options } = {}) {
      await requireEnvironment(tx, secret.scope, environment, field);
      const heads = await valueStore.heads(secret.scope, secret.id, tx);
      const before = heads.find((head) => head.environment === environment);
      const nowMs = clock.nowMs();
      const value: StoredValue = {
        id,
        envelope,
        environment,
        version: (before?.version ?? 0) + 1,
        certificate: options.certificate ?? null,
        expiresAtOverrideMs:
          options.expiresAtOverrideMs === undefined
            ? (before?.expiresAtOverrideMs ?? null)
            : options.expiresAtOverrideMs,
        createdAtMs: before?.createdAtMs ?? nowMs,
        updatedAtMs: nowMs,
      };
      const put = before ? valueStore.replace : valueStore.insert;
      await put(tx, secret.scope, secret.id, value);
      return value;
    },
  };
}
