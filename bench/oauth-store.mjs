// Rows of access tokens by SQL, past the server: many copies of one that was minted, each found by a text of its own.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import pg from 'pg';

const LIFETIME_MS = 3_600_000;
const RANDOM_BYTES = 26;

/** Of the copy of that number: as if they had been minted one by one in the hour before `nowMs`. */
function mintedMs(n, { count, nowMs }) {
  return nowMs - LIFETIME_MS + Math.floor((n * LIFETIME_MS) / count);
}

/** The text of the copy of that number. */
export function copiedToken(n, copies) {
  const bytes = Buffer.concat([sha256(`token ${n}`).subarray(0, RANDOM_BYTES), Buffer.alloc(6)]);
  bytes.writeUIntBE(mintedMs(n, copies), RANDOM_BYTES, 6);
  return `kc_live_${bytes.toString('base64url')}`;
}

/** What it is found by (docs/decisions/0079). */
function copiedKey(n, copies) {
  const time = mintedMs(n, copies).toString(16).padStart(12, '0');
  return time + sha256(copiedToken(n, copies)).toString('base64url');
}

/** `copies`: their `count`, and `nowMs`. `storeUrl` null = SQLite in the data directory. */
export function copyToken({ dataDir, storeUrl }, copies) {
  return storeUrl === null ? copyOnSqlite(dataDir, copies) : copyOnPostgres(storeUrl, copies);
}

/** All but copies: what rounds have minted must not add up. */
export async function removeMinted({ dataDir, storeUrl }) {
  const sql = `DELETE FROM oauth_tokens WHERE id NOT LIKE 'copy %'`;
  if (storeUrl === null) onSqlite(dataDir, (db) => db.exec(sql));
  else await onPostgres(storeUrl, sql, 'VACUUM oauth_tokens');
}

function copyOnSqlite(dataDir, copies) {
  onSqlite(dataDir, (db) => {
    db.function('copied_key', (n) => copiedKey(n, copies));
    db.exec(insertion(`copied_key(n)`, copies.count));
  });
}

function copyOnPostgres(storeUrl, { count, nowMs }) {
  const base64Url = (bytes) => `translate(encode(${bytes}, 'base64'), '+/=', '-_')`;
  const time = `lpad(to_hex(${nowMs} - ${LIFETIME_MS} + (n::bigint * ${LIFETIME_MS}) / ${count}), 12, '0')`;
  const random = `substring(sha256(convert_to('token ' || n, 'UTF8')) for ${RANDOM_BYTES})`;
  const text = `'kc_live_' || ${base64Url(`${random} || decode(${time}, 'hex')`)}`;
  const hash = base64Url(`sha256(convert_to(${text}, 'UTF8'))`);
  const key = `${time} || ${hash}`;
  return onPostgres(storeUrl, insertion(key, count), 'VACUUM ANALYZE oauth_tokens', 'CHECKPOINT');
}

function insertion(key, count) {
  const kept = [
    ...['tenant_id', 'sandbox', 'api_key_id', 'oauth_client_id', 'source_epoch', 'grant_type', 'scopes'],
    ...['issued_at', 'expires_at'],
  ];
  return `WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < ${count - 1}),
      minted AS (SELECT * FROM oauth_tokens LIMIT 1)
    INSERT INTO oauth_tokens (${kept.join(', ')}, id, token_hash)
    SELECT ${kept.join(', ')}, 'copy ' || n, ${key} FROM minted, series`;
}

function onSqlite(dataDir, act) {
  const db = new DatabaseSync(join(dataDir, 'knox.db'));
  try {
    db.exec('PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000');
    act(db);
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}

async function onPostgres(url, ...statements) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const sql of statements) await client.query(sql);
  } finally {
    await client.end();
  }
}

function sha256(text) {
  return createHash('sha256').update(text).digest();
}
