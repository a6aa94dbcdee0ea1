import type { Clock } from '../../kernel/clock.js';
import { permissionMissing } from '../../kernel/errors.js';
import { type IdSource, isUuid, type Scope, type TenantId } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CertificateFile, CertificateFiles } from '../../platform/crypto/certificate-files.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Page } from '../../platform/http/route.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { EnvironmentHolder, Environments } from '../environments/index.js';
import type { TenantKeys } from '../kms/index.js';
import type { Plans } from '../plans/index.js';
import { secretCreateEntry, secretDeleteEntry, secretRotateEntry, type WrittenValue } from './audit.js';
import { type CertificateInfo, readCertificate } from './certificates/bundle.js';
import { notOfType, secretNotFound, stillUsed, unknownEnvironment } from './errors.js';
import { createSecretsChanged, createSecretsInUse } from './in-use.js';
import type { BegunVisit } from './oauth2/connecting.js';
import { type Connection, createConnectionStore } from './oauth2/connection-store.js';
import type { CreatedOAuth2Secret } from './oauth2/creating.js';
import { createOAuth2Creating } from './oauth2/creating.js';
import type { CurrentToken } from './oauth2/current-tokens.js';
import type { NewOAuth2, OAuth2Details, OAuth2Secrets } from './oauth2/service.js';
import { createOAuth2ConfigStore } from './oauth2/store.js';
import { createSecretReading, type SecretReading } from './reading.js';
import { createSecretResolving, type SecretResolving } from './resolving.js';
import { createSecretStore, type SecretListOptions, type SecretSummary } from './store.js';
import type { SecretType } from './tables.js';
import type { StoredSecret } from './types.js';
import { createSecretUpdate, type SecretChanges } from './updating.js';
import { createSecretValueStore, type ValueHead } from './value-store.js';
import { createSecretValues, type SecretValues } from './values.js';
import { createSecretWriting, type NewTerms, type SecretWriting } from './writing.js';

export interface NewSecret extends NewTerms {
  readonly value: Secret<string>;
}

export interface NewCertificate extends Omit<NewTerms, 'expiresAtMs'> {
  readonly file: CertificateFile;
  /** Undefined: when the certificate does. */
  readonly expiresAtMs: number | null | undefined;
}

export interface CertificateChange extends Pick<NewCertificate, 'file' | 'expiresAtMs'> {
  /** Null: the base. */
  readonly environment: string | null;
}

export interface NewValue {
  readonly value: Secret<string>;
  /** Null: the base. */
  readonly environment: string | null;
  /** Absent: as it was. */
  readonly expiresAtOverrideMs?: number | null;
}

export interface SecretWithWritten extends StoredSecret {
  readonly written: WrittenValue;
}

export interface SecretDetail extends SecretSummary {
  /** In order of their environments. */
  readonly values: readonly ValueHead[];
  /** Of that type alone, as its base environment has it. */
  readonly oauth2: OAuth2Details | null;
}

/** What secrets of the type `oauth2` have beside the others; 400 `invalid_type` of one that is another. */
export interface SecretsOfOAuth2 {
  create(
    caller: Caller,
    input: { readonly terms: NewTerms; readonly oauth2: NewOAuth2 },
  ): Promise<CreatedOAuth2Secret>;
  connect(caller: Caller, id: string, environment: string | null): Promise<BegunVisit>;
  token(caller: Caller, id: string, environment: string | null): Promise<CurrentToken>;
}

/** Another noun that names secrets by their id. */
export interface SecretUser {
  /** By what it is used, as an error says it; null = it may be deleted. */
  usedBy(tx: Transaction, scope: Scope, secretId: string): Promise<string | null>;
  /** What ends with it. */
  removed?(tx: Transaction, scope: Scope, secretId: string): Promise<void>;
}

/** Values that calls need and callers do not see (dataplane.md §3). An id that none of the caller's tenant and mode has is 404. */
export interface Secrets extends SecretResolving, SecretReading {
  list(caller: Caller, options: SecretListOptions): Promise<Page<SecretSummary>>;
  get(caller: Caller, id: string): Promise<SecretDetail>;
  /** For those that know a name: undefined where there is none. */
  findByName(scope: Scope, name: string, tx?: Transaction): Promise<StoredSecret | undefined>;
  findById(scope: Scope, id: string, tx?: Transaction): Promise<StoredSecret | undefined>;
  /** In order. */
  listNames(scope: Scope): Promise<string[]>;
  /** 402 where the plan has no room for another, 409 of a name that there is. */
  create(caller: Caller, input: NewSecret): Promise<SecretSummary>;
  createCertificate(caller: Caller, input: NewCertificate): Promise<SecretSummary>;
  /** 400 where the value is not sent again and has further hosts to go to (contract README §10). */
  update(caller: Caller, id: string, changes: SecretChanges): Promise<StoredSecret>;
  /** Of a string; in the place of the one that the environment has. */
  setValue(caller: Caller, id: string, input: NewValue): Promise<SecretWithWritten>;
  /** The same of a certificate. */
  setCertificate(caller: Caller, id: string, input: CertificateChange): Promise<SecretWithWritten>;
  /** 409 while something uses it. */
  delete(caller: Caller, id: string): Promise<void>;
  /** Those of live mode, which count for the plan. */
  countLive(tenantId: TenantId): Promise<number>;
  /** For what makes and keeps secrets of another kind. */
  readonly writing: SecretWriting;
  readonly values: SecretValues;
  readonly oauth2: SecretsOfOAuth2;
}

export interface SecretsDeps {
  readonly db: Database;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Pick<Logger, 'warn'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open' | 'onForget'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly environments: Pick<Environments, 'find' | 'defaultOf'>;
  readonly certificateFiles: CertificateFiles;
  readonly oauth2: OAuth2Secrets;
  readonly users: readonly SecretUser[];
}

export function createSecrets(deps: SecretsDeps): Secrets {
  const { db, auditLogs, certificateFiles, environments, oauth2, users } = deps;
  const changed = createSecretsChanged(deps.generations);
  const store = createSecretStore(db, changed);
  const valueStore = createSecretValueStore(db, changed);
  const inUse = createSecretsInUse(valueStore, deps.generations);
  const values = createSecretValues(deps);
  const writing = createSecretWriting({ ...deps, store, valueStore });
  const parts = { ...deps, store, valueStore, inUse, values, writing, find };

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<StoredSecret> {
    const secret = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!secret) throw secretNotFound();
    return secret;
  }

  async function inEnvironment(
    caller: Caller,
    id: string,
    environment: string | null,
  ): Promise<StoredSecret> {
    const { scope } = caller.principal;
    const secret = await find(scope, id);
    if (environment !== null && !(await environments.find(scope, environment)))
      throw unknownEnvironment('environment', environment);
    return secret;
  }

  return {
    ...createSecretResolving(parts),
    ...createSecretReading(parts),
    update: createSecretUpdate(parts),
    writing,
    values,

    oauth2: {
      create: createOAuth2Creating({ ...deps, writing }),
      async connect(caller, id, environment) {
        const secret = await inEnvironment(caller, id, environment);
        return oauth2.connect(caller, secret, environment);
      },
      async token(caller, id, environment) {
        const secret = await inEnvironment(caller, id, environment);
        if (!caller.principal.may('secrets:read_value', secret.name))
          throw permissionMissing('secrets:read_value');
        return oauth2.token(caller, secret, environment);
      },
    },

    async list({ principal: { scope } }, options) {
      const [listed, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      const ofOAuth2 = listed.filter(({ type }) => type === 'oauth2').map(({ id }) => id);
      const counts = await oauth2.countsOf(scope, ofOAuth2);
      const rows = listed.map((row) => ({
        ...row,
        environmentCount: counts.get(row.id) ?? row.environmentCount,
      }));
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async get({ principal: { scope } }, id) {
      const secret = await find(scope, id);
      const isOAuth2 = secret.type === 'oauth2';
      const heads = isOAuth2
        ? (await oauth2.connectionsOf(secret)).map(headOf)
        : await valueStore.heads(scope, secret.id);
      const shown = isOAuth2 ? await oauth2.describe(secret, null) : null;
      return { ...secret, environmentCount: heads.length, values: heads, oauth2: shown };
    },

    findByName: (scope, name, tx) => store.findByName(scope, name, tx),
    findById: async (scope, id, tx) => (isUuid(id) ? store.find(scope, id.toLowerCase(), tx) : undefined),
    listNames: (scope) => store.names(scope),

    async create(caller, { value, ...terms }) {
      const { scope } = caller.principal;
      const room = await writing.roomFor(scope);
      const sealed = await values.seal(scope, value);
      return db.transaction(async (tx) => {
        const secret = await writing.insert(tx, caller, room, 'string', terms);
        await writing.write(tx, secret, secret.baseEnvironment, sealed);
        return recordCreated(tx, caller, secret);
      });
    },

    async createCertificate(caller, { file, expiresAtMs, ...terms }) {
      const { scope } = caller.principal;
      const room = await writing.roomFor(scope);
      const { text, info } = await readCertificate(certificateFiles, scope, file);
      const sealed = await values.seal(scope, text);
      return db.transaction(async (tx) => {
        const all = { ...terms, expiresAtMs: endOf(info, expiresAtMs) };
        const secret = await writing.insert(tx, caller, room, 'certificate', all);
        await writing.write(tx, secret, secret.baseEnvironment, sealed, { certificate: info });
        return recordCreated(tx, caller, secret);
      });
    },

    async setValue(caller, id, { value, environment, ...options }) {
      const { scope } = caller.principal;
      const known = await find(scope, id);
      if (known.type !== 'string') throw notOfType('value', known.type);
      const sealed = await values.seal(scope, value);
      return db.transaction(async (tx) => {
        const secret = await find(scope, id, tx);
        const at = environment ?? secret.baseEnvironment;
        return recordWritten(tx, caller, secret, await writing.write(tx, secret, at, sealed, options));
      });
    },

    async setCertificate(caller, id, { file, environment, expiresAtMs }) {
      const { scope } = caller.principal;
      const known = await find(scope, id);
      if (known.type !== 'certificate') throw notOfType('certificate_content', known.type);
      const { text, info } = await readCertificate(certificateFiles, scope, file);
      const sealed = await values.seal(scope, text);
      return db.transaction(async (tx) => {
        const secret = await find(scope, id, tx);
        const at = environment ?? secret.baseEnvironment;
        const isBase = at === secret.baseEnvironment;
        const endsMs = endOf(info, expiresAtMs);
        const written = await writing.write(tx, secret, at, sealed, {
          certificate: info,
          expiresAtOverrideMs: isBase ? null : endsMs,
        });
        const after = isBase ? { ...secret, expiresAtMs: endsMs, updatedAtMs: written.updatedAtMs } : secret;
        if (isBase) await store.update(tx, after);
        return recordWritten(tx, caller, after, written);
      });
    },

    async delete(caller, id) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const secret = await find(scope, id, tx);
        for (const user of users) {
          const by = await user.usedBy(tx, scope, secret.id);
          if (by !== null) throw stillUsed(by);
        }
        for (const user of users) await user.removed?.(tx, scope, secret.id);
        const { length } = await valueStore.heads(scope, secret.id, tx);
        await oauth2.remove(tx, scope, secret.id);
        await store.delete(tx, scope, secret.id);
        await auditLogs.record(tx, actorOf(caller), secretDeleteEntry(secret, length));
        await recordAnswer(tx, caller, undefined);
      });
    },

    countLive: (tenantId) => store.count({ tenantId, sandbox: false }),
  };

  async function recordCreated(
    tx: Transaction,
    caller: Caller,
    secret: StoredSecret,
  ): Promise<SecretSummary> {
    await auditLogs.record(tx, actorOf(caller), secretCreateEntry(secret));
    const result = { ...secret, environmentCount: 1 };
    await recordAnswer(tx, caller, result);
    return result;
  }

  async function recordWritten(
    tx: Transaction,
    caller: Caller,
    secret: StoredSecret,
    { environment, version }: WrittenValue,
  ): Promise<SecretWithWritten> {
    const result = { ...secret, written: { environment, version } };
    await auditLogs.record(tx, actorOf(caller), secretRotateEntry(secret, result.written));
    await recordAnswer(tx, caller, result);
    return result;
  }
}

/** Tokens come and go without anybody writing a value: its version stays the first (dataplane.md §3). */
function headOf({ environment, createdAtMs, updatedAtMs }: Connection): ValueHead {
  return { environment, version: 1, certificate: null, expiresAtOverrideMs: null, createdAtMs, updatedAtMs };
}

/** What a certificate says of its end holds, unless the call says something else. */
function endOf({ leaf }: CertificateInfo, sentMs: number | null | undefined): number | null {
  return sentMs === undefined ? (leaf?.notAfterMs ?? null) : sentMs;
}

/** For those that refer to secrets by their id: whether there is one, and of that type. */
export function createSecretOfType(db: Database, type: SecretType) {
  const store = createSecretStore(db);
  return async (scope: Scope, id: string, tx: Transaction): Promise<boolean> =>
    (await store.find(scope, id, tx))?.type === type;
}

export function createSecretNames(db: Database) {
  const store = createSecretStore(db);
  return async (scope: Scope, id: string): Promise<string | undefined> => (await store.find(scope, id))?.name;
}

/** Values follow the name of their environment, and end with it; the base of a secret stays. */
export function createSecretEnvironments(
  db: Database,
  generations: Pick<Generations, 'bump'>,
): EnvironmentHolder {
  const changed = createSecretsChanged(generations);
  const store = createSecretStore(db, changed);
  const valueStore = createSecretValueStore(db, changed);
  return {
    async neededBy(tx, scope, name) {
      const count = await store.countOfBase(tx, scope, name);
      if (count === 0) return null;
      return count === 1 ? 'a secret' : `${count} secrets`;
    },
    async rename(tx, scope, from, to) {
      await store.renameEnvironment(tx, scope, from, to);
      await createOAuth2ConfigStore(db).renameEnvironment(tx, scope, from, to);
    },
    async remove(tx, scope, name) {
      const connections = await createConnectionStore(db).removeEnvironment(tx, scope, name);
      const values = await valueStore.removeEnvironment(tx, scope, name);
      return { secret_values_deleted: values + connections };
    },
  };
}
