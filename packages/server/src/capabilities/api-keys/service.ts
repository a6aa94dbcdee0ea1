import { assert } from '../../kernel/assert.js';
import type { Clock } from '../../kernel/clock.js';
import { notFound, validationError } from '../../kernel/errors.js';
import { type ApiKeyId, type IdSource, isUuid, type Mode, modeOf, type Scope } from '../../kernel/ids.js';
import { type Actor, actorOf, type Caller, type Grant, type Principal } from '../../kernel/principal.js';
import type { KeyRateLimit } from '../../kernel/rate-limit.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import { createTotals } from '../../platform/cache/totals.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { PageOptions } from '../../platform/http/pagination.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createLastUsed } from '../../platform/storage/last-used.js';
import { credentialGeneration } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import {
  firstBeyond,
  KEY_PERMISSIONS,
  type KeyAccess,
  type Permissions,
  seededKeyRole,
} from '../permissions/index.js';
import type { Plans } from '../plans/index.js';
import { createEntry, revokeEntry } from './audit.js';
import { looserRateLimit, privilegeEscalation, roleNotForKeys } from './errors.js';
import { type KeyType, newKey } from './key-format.js';
import {
  type ApiKey,
  createApiKeyStore,
  type KeyName,
  type KeyTerms,
  type StoredCredential,
} from './store.js';

export type { ApiKey } from './store.js';

export interface ApiKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly permissions: Pick<Permissions, 'decisionOfKey'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** What a key is asked to have: the access of its maker, roles, or permissions one by one. */
export type AskedAccess =
  | 'inherited'
  | { readonly roleIds: readonly string[] }
  | { readonly grants: readonly Grant[] };

export interface NewApiKey {
  readonly name: string;
  readonly access: AskedAccess;
  readonly rateLimit: KeyRateLimit | null;
  /** Null = the one of the caller's mode. */
  readonly type: KeyType | null;
  readonly expiresAtMs: number | null;
}

export interface CreatedApiKey extends KeyTerms {
  readonly id: ApiKeyId;
  readonly keyId: string;
  readonly apiKey: Secret<string>;
  readonly prefix: string;
  readonly type: KeyType;
  readonly name: string;
}

/** A key that exists in memory only. */
export interface PreparedApiKey extends CreatedApiKey {
  readonly hash: Buffer;
}

/** With the permissions that an access key holds; null for the other types. */
export type WithScopes<Key> = Key & { readonly scopes: readonly string[] | null };

export interface ListedApiKey extends WithScopes<ApiKey> {
  readonly isActive: boolean;
}

export interface ApiKeys {
  /** The total of more than 5,000 is at most 10 s old. */
  list(scope: Scope, page: PageOptions): Promise<{ rows: ListedApiKey[]; total: number }>;
  /** The maker cannot give what it does not hold. Access keys: live mode only, and where the plan has them. */
  create(caller: Caller, input: NewApiKey): Promise<WithScopes<CreatedApiKey>>;
  /** Draws a key of full access, so that it can be shown or kept before the transaction that makes it valid. */
  prepare(mode: Mode, name: string): PreparedApiKey;
  /** In the caller's transaction; the key's type must be one of the actor's mode. */
  createIn(tx: Transaction, actor: Actor, key: PreparedApiKey): Promise<CreatedApiKey>;
  /** By row id or key id. 404 when unknown, foreign, of the other mode or revoked already. */
  revoke(caller: Caller, idOrKeyId: string): Promise<void>;
  findActiveByHash(hash: Buffer): Promise<StoredCredential | undefined>;
  /** Neither revoked nor ended. */
  findActive(scope: Scope, id: ApiKeyId): Promise<StoredCredential | undefined>;
  recordUse(scope: Scope, id: ApiKeyId): void;
  /** Writes the pending last uses. */
  stop(): Promise<void>;
}

const FULL_TERMS: KeyTerms = { access: { full: true }, rateLimit: null, expiresAtMs: null };

export function createApiKeys(deps: ApiKeysDeps): ApiKeys {
  const { db, clock, ids, random, generations, auditLogs, permissions, plans } = deps;
  const store = createApiKeyStore(db);
  const totals = createTotals(deps);
  const lastUsed = createLastUsed({ db, store, clock, logger: deps.logger });

  function draw(type: KeyType, name: string, terms: KeyTerms): PreparedApiKey {
    return { ...newKey(random, type), ...terms, id: ids.uuid() as ApiKeyId, name };
  }

  async function createIn(tx: Transaction, actor: Actor, key: PreparedApiKey): Promise<CreatedApiKey> {
    assert((key.type === 'test') === actor.scope.sandbox, 'a key is made in the space of its mode');
    const { hash, ...created } = key;
    await store.insert(tx, actor.scope, { ...created, hash, createdAtMs: clock.nowMs() });
    await auditLogs.record(tx, actor, createEntry(created));
    return created;
  }

  /** What the caller's own key was given; a signed-in user has none. */
  async function termsOfMaker({ scope, apiKeyId }: Actor): Promise<KeyTerms> {
    return apiKeyId === null ? FULL_TERMS : store.findTerms(scope, apiKeyId);
  }

  async function accessOf(
    { scope, grants: held }: Principal,
    maker: KeyTerms,
    asked: AskedAccess,
  ): Promise<KeyAccess> {
    if (asked === 'inherited') return inheritedAccess(maker, held);
    const roleIds = 'roleIds' in asked ? [...new Set(asked.roleIds)] : [];
    const stranger = roleIds.find((id) => !seededKeyRole(id));
    if (stranger !== undefined) throw roleNotForKeys(stranger);
    const access: KeyAccess = { full: false, roleIds, grants: 'grants' in asked ? asked.grants : [] };
    const beyond = firstBeyond(held, (await permissions.decisionOfKey(scope.tenantId, access)).grants);
    if (beyond) throw privilegeEscalation(beyond);
    return access;
  }

  async function scopesOf(
    { tenantId }: Scope,
    { type, access }: { readonly type: string; readonly access: KeyAccess },
  ): Promise<readonly string[] | null> {
    if (type !== 'access_key') return null;
    const { grants } = await permissions.decisionOfKey(tenantId, access);
    return [...new Set(grants.map(({ permission }) => permission))];
  }

  return {
    async list(scope, page) {
      const rows = await store.list(scope, page);
      const total = await totals.of(`${scope.tenantId} ${modeOf(scope)}`, () => store.count(scope));
      const nowMs = clock.nowMs();
      const listed = rows.map(async (key) => ({
        ...key,
        isActive: key.revokedAtMs === null && !isExpired(key, nowMs),
        scopes: await scopesOf(scope, key),
      }));
      return { rows: await Promise.all(listed), total };
    },

    async create(caller, input) {
      const actor = actorOf(caller);
      const { scope } = actor;
      const type = typeIn(modeOf(scope), input.type);
      if (input.expiresAtMs !== null && input.expiresAtMs <= clock.nowMs())
        throw validationError('expires_at', 'must be in the future');
      if (type === 'access_key') await plans.requireFeature(scope.tenantId, 'access_keys');
      const maker = await termsOfMaker(actor);
      if (isLooser(input.rateLimit, maker.rateLimit)) throw looserRateLimit(maker.rateLimit!);
      const key = draw(type, input.name, {
        access: await accessOf(caller.principal, maker, input.access),
        // Else a limited key could make one of the same access that is not (docs/decisions/0046).
        rateLimit: input.rateLimit ?? maker.rateLimit,
        // Else a key that ends could make one of the same access that does not.
        expiresAtMs: earlier(input.expiresAtMs, maker.expiresAtMs),
      });
      const scopes = await scopesOf(scope, key);
      return db.transaction(async (tx) => {
        const created = { ...(await createIn(tx, actor, key)), scopes };
        await recordAnswer(tx, caller, created);
        return created;
      });
    },

    prepare: (mode, name) => draw(typeIn(mode, null), name, FULL_TERMS),
    createIn,

    async revoke(caller, idOrKeyId) {
      const name = keyName(idOrKeyId);
      if (isOwn(caller.principal, name))
        throw validationError('id', 'the key that makes this call cannot be revoked');
      await db.transaction(async (tx) => {
        const actor = actorOf(caller);
        const revoked = await store.revoke(tx, actor.scope, name, clock.nowMs());
        if (!revoked) throw notFound('API key');
        await generations.bump(tx, credentialGeneration(actor.scope.tenantId));
        await auditLogs.record(tx, actor, revokeEntry(revoked));
        await recordAnswer(tx, caller, undefined);
      });
    },

    findActiveByHash: (hash) => store.findActiveByHash(hash),
    async findActive(scope, id) {
      const key = await store.findActive(scope, id);
      return key && !isExpired(key, clock.nowMs()) ? key : undefined;
    },
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

/** auth.md §1.3: the mode decides; the dashboard may ask for an access key beside the standard one. */
function typeIn(mode: Mode, asked: KeyType | null): KeyType {
  const usual = mode === 'live' ? 'standard' : 'test';
  const offered: readonly KeyType[] = mode === 'live' ? ['standard', 'access_key'] : ['test'];
  if (asked !== null && !offered.includes(asked))
    throw validationError('key_type', `must be ${offered.join(' or ')} in ${mode} mode`);
  return asked ?? usual;
}

/**
 * What its maker holds and a key can hold. Full access, which takes in what later versions add, only where the maker
 * has it: a key with every permission of today by name has not.
 */
function inheritedAccess(maker: KeyTerms, held: readonly Grant[]): KeyAccess {
  const grants = held.filter(({ permission }) => KEY_PERMISSIONS.has(permission));
  const whole = grants.filter(({ resource }) => resource === null);
  const isFull = maker.access.full && whole.length === KEY_PERMISSIONS.size;
  return isFull ? { full: true } : { full: false, roleIds: [], grants };
}

/** `null` is never. */
function earlier(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/** The clock is asked for each use, also of a key that is cached. */
export function isExpired({ expiresAtMs }: Pick<KeyTerms, 'expiresAtMs'>, nowMs: number): boolean {
  return expiresAtMs !== null && nowMs >= expiresAtMs;
}

/** By requests a second, or by more at once. */
function isLooser(asked: KeyRateLimit | null, held: KeyRateLimit | null): boolean {
  if (asked === null || held === null) return false;
  const isFaster = asked.requests * held.windowSeconds > held.requests * asked.windowSeconds;
  return isFaster || asked.requests > held.requests;
}
