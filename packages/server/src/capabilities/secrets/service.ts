import type { Clock } from '../../kernel/clock.js';
import { type IdSource, isUuid, type Scope, type TenantId } from '../../kernel/ids.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
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
import { notOfType, secretNotFound, stillUsed } from './errors.js';
import { createSecretReading, type SecretReading } from './reading.js';
import { createSecretResolving, type SecretResolving } from './resolving.js';
import { createSecretStore, type SecretListOptions, type SecretSummary } from './store.js';
import type { OAuth2Values, StoredSecret } from './types.js';
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
}

/** Another noun that names secrets by their id. */
export interface SecretUser {
  /** By what it is used, as an error says it; null = it may be deleted. */
  usedBy(tx: Transaction, scope: Scope, secretId: string): Promise<string | null>;
}

/** Values that calls need and callers do not see (dataplane.md §3). An id that none of the caller's tenant and mode has is 404. */
export interface Secrets extends SecretResolving, SecretReading {
  list(caller: Caller, options: SecretListOptions): Promise<Page<SecretSummary>>;
  get(caller: Caller, id: string): Promise<SecretDetail>;
  /** For those that know a name: undefined where there is none. */
  findByName(scope: Scope, name: string, tx?: Transaction): Promise<StoredSecret | undefined>;
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
}

export interface SecretsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Pick<Logger, 'warn'>;
  readonly tenantKeys: Pick<TenantKeys, 'seal' | 'open'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly plans: Pick<Plans, 'roomFor'>;
  readonly environments: Pick<Environments, 'find' | 'defaultOf'>;
  readonly certificateFiles: CertificateFiles;
  readonly oauth2: OAuth2Values;
  readonly users: readonly SecretUser[];
}

export function createSecrets(deps: SecretsDeps): Secrets {
  const { db, auditLogs, certificateFiles, users } = deps;
  const store = createSecretStore(db);
  const valueStore = createSecretValueStore(db);
  const values = createSecretValues(deps);
  const writing = createSecretWriting({ ...deps, store, valueStore });
  const parts = { ...deps, store, valueStore, values, writing, find };

  async function find(scope: Scope, id: string, tx?: Transaction): Promise<StoredSecret> {
    const secret = isUuid(id) ? await store.find(scope, id.toLowerCase(), tx) : undefined;
    if (!secret) throw secretNotFound();
    return secret;
  }

  return {
    ...createSecretResolving(parts),
    ...createSecretReading(parts),
    update: createSecretUpdate(parts),
    writing,
    values,

    async list({ principal: { scope } }, options) {
      const [rows, total] = await Promise.all([store.list(scope, options), store.count(scope)]);
      return { rows, total, page: options.page, perPage: options.perPage };
    },

    async get({ principal: { scope } }, id) {
      const secret = await find(scope, id);
      const heads = await valueStore.heads(scope, secret.id);
      return { ...secret, environmentCount: heads.length, values: heads };
    },

    findByName: (scope, name, tx) => store.findByName(scope, name, tx),
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
        const { length } = await valueStore.heads(scope, secret.id, tx);
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

/** What a certificate says of its end holds, unless the call says something else. */
function endOf({ leaf }: CertificateInfo, sentMs: number | null | undefined): number | null {
  return sentMs === undefined ? (leaf?.notAfterMs ?? null) : sentMs;
}

/** Values follow the name of their environment, and end with it; the base of a secret stays. */
export function createSecretEnvironments(db: Database): EnvironmentHolder {
  const store = createSecretStore(db);
  const valueStore = createSecretValueStore(db);
  return {
    async neededBy(tx, scope, name) {
      const count = await store.countOfBase(tx, scope, name);
      if (count === 0) return null;
      return count === 1 ? 'a secret' : `${count} secrets`;
    },
    rename: (tx, scope, from, to) => store.renameEnvironment(tx, scope, from, to),
    async remove(tx, scope, name) {
      return { secret_values_deleted: await valueStore.removeEnvironment(tx, scope, name) };
    },
  };
}
