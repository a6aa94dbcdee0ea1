import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError } from '../../kernel/errors.js';
import { type ApiKeyId, type IdSource, isUuid, type Mode, modeOf, type Scope } from '../../kernel/ids.js';
import { type Actor, actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { PageOptions } from '../../platform/http/pagination.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { credentialGeneration } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { type KeyType, newKey } from './key-format.js';
import { createLastUsed } from './last-used.js';
import { type ApiKey, createApiKeyStore, type KeyName, type StoredCredential } from './store.js';

export type { ApiKey } from './store.js';

export interface ApiKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly logger: Pick<Logger, 'warn'>;
}

export interface CreatedApiKey {
  readonly id: ApiKeyId;
  readonly keyId: string;
  readonly apiKey: Secret<string>;
  readonly prefix: string;
  readonly type: KeyType;
  readonly name: string;
}

/** A key that exists in memory only. */
export interface PreparedApiKey extends CreatedApiKey {
  readonly mode: Mode;
  readonly hash: Buffer;
}

export interface ApiKeys {
  list(scope: Scope, page: PageOptions): Promise<{ rows: ApiKey[]; total: number }>;
  create(caller: Caller, name: string): Promise<CreatedApiKey>;
  /** Draws a key in memory, so that it can be shown or kept before the transaction that makes it valid. */
  prepare(mode: Mode, name: string): PreparedApiKey;
  /** In the caller's transaction; the key's mode must be that of the actor's scope. */
  createIn(tx: Transaction, actor: Actor, key: PreparedApiKey): Promise<CreatedApiKey>;
  /** By row id or key id. 404 when unknown, foreign, of the other mode or revoked already. */
  revoke(caller: Caller, idOrKeyId: string): Promise<void>;
  findActiveByHash(hash: Buffer): Promise<StoredCredential | undefined>;
  recordUse(scope: Scope, id: ApiKeyId): void;
  /** Writes the pending last uses. */
  stop(): Promise<void>;
}

export function createApiKeys(deps: ApiKeysDeps): ApiKeys {
  const { db, clock, ids, random, generations, auditLogs } = deps;
  const store = createApiKeyStore(db);
  const lastUsed = createLastUsed({ db, store, clock, logger: deps.logger });

  function prepare(mode: Mode, name: string): PreparedApiKey {
    return { ...newKey(random, mode), id: ids.uuid() as ApiKeyId, name, mode };
  }

  async function createIn(tx: Transaction, actor: Actor, key: PreparedApiKey): Promise<CreatedApiKey> {
    assert(key.mode === modeOf(actor.scope), 'a key is made in the space of its mode');
    const { hash, mode: _, ...created } = key;
    await store.insert(tx, actor.scope, { ...created, hash, createdAtMs: clock.nowMs() });
    await auditLogs.record(tx, actor, {
      action: 'api_key.create',
      resourceType: 'api_key',
      resourceId: created.id,
      details: { name: key.name, key_id: key.keyId, key_type: key.type },
    });
    return created;
  }

  return {
    list: (scope, page) => store.list(scope, page),
    prepare,
    createIn,
    create(caller, name) {
      const key = prepare(modeOf(caller.principal.scope), name);
      return db.transaction(async (tx) => {
        const created = await createIn(tx, actorOf(caller), key);
        await recordAnswer(tx, caller, created);
        return created;
      });
    },

    async revoke(caller, idOrKeyId) {
      const name = keyName(idOrKeyId);
      if (isOwn(caller.principal, name))
        throw validationError('id', 'the key that makes this call cannot be revoked');
      await db.transaction(async (tx) => {
        const actor = actorOf(caller);
        const revoked = await store.revoke(tx, actor.scope, name, clock.nowMs());
        if (!revoked) throw notFound('API key');
        await generations.bump(tx, credentialGeneration(actor.scope.tenantId));
        await auditLogs.record(tx, actor, {
          action: 'api_key.revoke',
          resourceType: 'api_key',
          resourceId: revoked.id,
          details: { name: revoked.name, key_id: revoked.keyId },
        });
        await recordAnswer(tx, caller, undefined);
      });
    },

    findActiveByHash: (hash) => store.findActiveByHash(hash),
    recordUse: (scope, id) => lastUsed.record(scope, id),
    stop: () => lastUsed.stop(),
  };
}

function keyName(idOrKeyId: string): KeyName {
  return isUuid(idOrKeyId)
    ? { column: 'id', value: idOrKeyId.toLowerCase() }
    : { column: 'key_id', value: idOrKeyId };
}

function isOwn(principal: Principal, name: KeyName): boolean {
  return name.value === (name.column === 'id' ? principal.apiKeyId : principal.keyId);
}
