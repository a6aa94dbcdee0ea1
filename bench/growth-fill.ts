// Databases of a given number of tokens, API keys and log rows, filled past the services but by their stores' own rows.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import pg from 'pg';
import { MIGRATIONS } from '../packages/server/src/app/migrations.js';
import type { Services } from '../packages/server/src/app/services.js';
import { hashKey } from '../packages/server/src/capabilities/api-keys/key-format.js';
import { apiKeysTables } from '../packages/server/src/capabilities/api-keys/tables.js';
import { createApiLogStore } from '../packages/server/src/capabilities/api-logs/store.js';
import { commitHook } from '../packages/server/src/capabilities/audit-logs/index.js';
import type { Vault } from '../packages/server/src/capabilities/vaults/store.js';
import { contextOf } from '../packages/server/src/capabilities/vaults/tokens/data-context.js';
import { createTokenStore } from '../packages/server/src/capabilities/vaults/tokens/store.js';
import { systemClock } from '../packages/server/src/kernel/clock.js';
import type { ApiKeyId, RequestId, TokenId } from '../packages/server/src/kernel/ids.js';
import { actorOf, type Caller } from '../packages/server/src/kernel/principal.js';
import { sealData } from '../packages/server/src/platform/crypto/data-cipher.js';
import { systemIds, systemRandom } from '../packages/server/src/platform/crypto/random.js';
import type { Logger } from '../packages/server/src/platform/log/logger.js';
import type { Database, Insertion } from '../packages/server/src/platform/storage/database.js';
import { openDatabase, type StorageOptions } from '../packages/server/src/platform/storage/open-database.js';
import { toDriver } from '../packages/server/src/platform/storage/sqlite.js';
import { loadSqlite } from '../packages/server/src/platform/storage/sqlite-module.js';
import { CheckedInsertion } from '../packages/server/src/platform/storage/view.js';
import { createTestServices } from '../packages/server/src/testing/services.js';
import { createTestTenant } from '../packages/server/src/testing/tenants.js';

/** One database with as many rows of each kind, all of one tenant and mode, and the services on it. */
export interface Side {
  readonly rows: number;
  readonly db: Database;
  readonly services: Services;
  readonly caller: Caller;
  readonly vault: Vault;
  readonly storage: StorageOptions;
}

const AT_ONCE = 1_000;
const IN_FLIGHT = 4;
/** Older than the watermark of the request log. */
const LOGGED_AGO_MS = 60_000;
const OPENABLE = 20_000;
const READ_INTO = Buffer.alloc(1024 * 1024);
const VALUE = Buffer.from('a value of the growth benchmark');

export async function openSide(storage: StorageOptions, rows: number, logger: Logger): Promise<Side> {
  const db = await openDatabase(storage, { migrations: MIGRATIONS, clock: systemClock, logger, commitHook });
  const services = createTestServices({ db, clock: systemClock, logger });
  await services.generations.start();
  const tenant = await createTestTenant({ ...services, db, ids: systemIds }, 'growth');
  const caller: Caller = {
    principal: {
      kind: 'api_key',
      scope: { tenantId: tenant.id, sandbox: false },
      tenantSlug: tenant.slug,
      apiKeyId: tenant.live.id,
      keyId: tenant.live.keyId,
      userId: null,
      rateLimit: null,
      grants: [],
      may: () => true,
    },
    requestId: systemIds.uuid() as RequestId,
    ip: '127.0.0.1',
  };
  const vault = await services.vaults.create(caller, {
    name: 'growth',
    tokenFormat: 'generic',
    description: null,
    metadata: null,
    echoGuard: true,
    defaultTtlSeconds: null,
  });
  const side = { rows, db, services, caller, vault, storage };
  await fill(side);
  return side;
}

/** The tokens whose value can be opened stand this far from each other: a value in each would take most of the time. */
export function openableEvery(rows: number): number {
  return Math.max(1, Math.floor(rows / OPENABLE));
}

/** What is named by its number needs no place in memory, however many there are. */
export function tokenOf(n: number): string {
  return `tok_${hex('token', n).slice(0, 32)}`;
}

export function apiKeyOf(n: number): string {
  const text = hex('key', n);
  return `tk_live_${text.slice(0, 12)}_${text.slice(12, 52)}`;
}

function hex(kind: string, n: number): string {
  return createHash('sha256').update(`${kind} ${n}`).digest('hex');
}

/** All of it into the operating system's cache, whatever has left that since the last time: disks are not compared. */
export async function warm({ storage }: Side): Promise<void> {
  if (storage.kind === 'postgres')
    return onPostgres(
      storage.url,
      'CREATE EXTENSION IF NOT EXISTS pg_prewarm',
      `SELECT sum(pg_prewarm(oid, 'read')) FROM pg_class WHERE relkind IN ('r', 'i', 't') AND relpersistence = 'p'`,
    );
  for (const path of [storage.path, storage.logPath]) readThrough(path);
}

function readThrough(path: string): void {
  const file = openSync(path, 'r');
  while (readSync(file, READ_INTO) > 0);
  closeSync(file);
}

async function fill(side: Side): Promise<void> {
  const { storage } = side;
  // Sealed below: each row through the queue of the unsealed would take longer than all else.
  if (storage.kind === 'postgres')
    await onPostgres(storage.url, 'ALTER TABLE audit_logs DISABLE TRIGGER USER');
  for (const batchOf of [tokenRows, keyRows, auditRows, logRows]) {
    const write = storage.kind === 'sqlite' ? sqliteWriter(storage) : postgresWriter(side.db);
    for (let from = 0; from < side.rows; from += AT_ONCE)
      await write.add(await batchOf(side, from, Math.min(from + AT_ONCE, side.rows)));
    await write.end();
  }
  const { tenantId } = side.caller.principal.scope;
  if (storage.kind === 'sqlite') {
    for (const sql of sealed(`'${tenantId}'`, 'randomblob(32)')) onSqlite(storage.path, sql);
    for (const path of [storage.path, storage.logPath]) onSqlite(path, 'PRAGMA wal_checkpoint(TRUNCATE)');
  } else {
    const hash = `decode(md5(id) || md5(id), 'hex')`;
    const enable = 'ALTER TABLE audit_logs ENABLE TRIGGER USER';
    await onPostgres(storage.url, ...sealed(`'${tenantId}'`, hash), enable, 'VACUUM ANALYZE', 'CHECKPOINT');
  }
}

async function tokenRows({ rows, db, services, caller, vault }: Side, from: number, to: number) {
  const store = createTokenStore(db);
  const { scope, apiKeyId } = caller.principal;
  const every = openableEvery(rows);
  let ciphertext: Buffer = Buffer.alloc(0);
  return services.cryptoKeys.use(scope, vault.cryptoKeyId, 1, (key) =>
    numbers(from, to).map((n) => {
      const id = systemIds.uuid() as TokenId;
      // The others have that of a neighbour, which is of the same length.
      if (n % every === 0 || ciphertext.length === 0)
        ciphertext = sealData(systemRandom, key, contextOf(scope, vault, id), VALUE);
      return store.insertion(scope, {
        id,
        vaultId: vault.id,
        token: tokenOf(n),
        keyVersion: 1,
        ciphertext,
        metadata: null,
        createdAtMs: systemClock.nowMs(),
        expiresAtMs: null,
        cardExpiresOn: null,
        noticeAtMs: null,
        createdByApiKeyId: apiKeyId,
        createdByUserId: null,
      });
    }),
  );
}

async function keyRows({ db, caller }: Side, from: number, to: number) {
  const view = db.view(apiKeysTables);
  return numbers(from, to).map((n) => {
    const apiKey = apiKeyOf(n);
    return view.insertion('api_keys', caller.principal.scope, {
      id: systemIds.uuid() as ApiKeyId,
      key_id: apiKey.slice(0, 20),
      key_hash: hashKey(apiKey),
      key_prefix: `${apiKey.slice(0, 11)}...`,
      key_type: 'standard',
      name: 'growth',
      created_at: systemClock.nowMs(),
      last_used_at: null,
      revoked_at: null,
      access: '{"full":true}',
      rate_limit_requests: null,
      rate_limit_window_sec: null,
      expires_at: null,
    });
  });
}

async function auditRows({ services, caller }: Side, from: number, to: number) {
  return numbers(from, to).map(() => services.auditLogs.insertion(actorOf(caller), auditEntry()));
}

export function auditEntry() {
  const details = { vault: 'growth', token_id: systemIds.uuid(), via: 'ephemeral_proxy' };
  return { action: 'vault.detokenize', resourceType: 'vault', resourceId: systemIds.uuid(), details };
}

async function logRows({ db, caller }: Side, from: number, to: number) {
  const store = createApiLogStore(db);
  const loggedAtMs = systemClock.nowMs() - LOGGED_AGO_MS;
  return numbers(from, to).map(() => store.insertion(logEntry(caller), loggedAtMs));
}

export function logEntry({ principal }: Caller) {
  return {
    scope: principal.scope,
    requestId: systemIds.uuid() as RequestId,
    routeId: null,
    matchedClientId: null,
    identificationMethod: 'api_key',
    method: 'POST',
    statusCode: 200,
    srcIp: '192.0.2.7',
    environment: null,
    tsMs: systemClock.nowMs(),
    path: '/charge',
    latencyMs: 12,
    upstreamHost: 'api.example.com',
    error: null,
    rateLimited: false,
    proxyMode: 'ephemeral',
    clientOrigin: 'direct',
    echo: null,
    signatureValid: null,
    warning: null,
  } as const;
}

/** The chain of the audit rows, as long as it would be, with hashes that nobody verifies. */
function sealed(tenantId: string, hash: string): string[] {
  return [
    'DELETE FROM audit_unsealed',
    'DELETE FROM audit_chain',
    `INSERT INTO audit_chain (tenant_id, sequence_number, audit_id, prev_hash, row_hash)
     SELECT tenant_id, row_number() OVER (), id, ${hash}, ${hash} FROM audit_logs WHERE tenant_id = ${tenantId}`,
    'DELETE FROM audit_chain_heads',
    `INSERT INTO audit_chain_heads (tenant_id, sequence_number, row_hash, checkpoint_sequence, checkpoint_at)
     SELECT tenant_id, sequence_number, row_hash, 0, 0 FROM audit_chain ORDER BY sequence_number DESC LIMIT 1`,
  ];
}

interface Writer {
  add(insertions: readonly Insertion[]): Promise<void>;
  end(): Promise<void>;
}

/** A connection of its own that neither syncs nor spares memory: one transaction a table. */
function sqliteWriter({ path, logPath }: { readonly path: string; readonly logPath: string }): Writer {
  let connection: ReturnType<typeof openBulk> | null = null;
  const statements = new Map<object, ReturnType<ReturnType<typeof openBulk>['prepare']>>();
  return {
    async add(insertions) {
      for (const insertion of insertions) {
        if (!(insertion instanceof CheckedInsertion)) throw new TypeError('no insertion of a view');
        const { shape, values } = insertion;
        if (connection === null) {
          connection = openBulk(shape.file === 'log' ? logPath : path);
          connection.exec('BEGIN');
        }
        let statement = statements.get(shape);
        if (statement === undefined) {
          const places = shape.columns.map(() => '?').join(', ');
          statement = connection.prepare(
            `INSERT INTO ${shape.table} (${shape.columns.join(', ')}) VALUES (${places})`,
          );
          statements.set(shape, statement);
        }
        statement.run(...(values.map(toDriver) as never[]));
      }
    },
    async end() {
      connection?.exec('COMMIT');
      statements.clear();
      connection?.close();
    },
  };
}

function openBulk(path: string) {
  const connection = new (loadSqlite().DatabaseSync)(path);
  connection.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000');
  return connection;
}

function onSqlite(path: string, sql: string): void {
  const connection = openBulk(path);
  connection.exec(sql);
  connection.close();
}

function postgresWriter(db: Database): Writer {
  const inFlight = new Set<Promise<void>>();
  return {
    async add(insertions) {
      if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight);
      const commit = db.commitInserts(insertions).finally(() => inFlight.delete(commit));
      inFlight.add(commit);
    },
    async end() {
      await Promise.all(inFlight);
    },
  };
}

async function onPostgres(url: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const sql of statements) await client.query(sql);
  await client.end();
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
