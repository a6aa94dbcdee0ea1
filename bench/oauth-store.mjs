// Rows of access tokens by SQL, past the server: many copies of one that was minted, each found by a text of its own.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import pg from 'pg';

/** The text of the copy of that number. */
export function copiedToken(n) {
  return `kc_live_${base64UrlHash(`token ${n}`)}`;
}

/** `storeUrl` null = SQLite in the data directory. */
export function copyToken({ dataDir, storeUrl }, count) {
  return storeUrl === null ? copyOnSqlite(dataDir, count) : copyOnPostgres(storeUrl, count);
}

/** All but copies: what rounds have minted must not add up. */
export async function removeMinted({ dataDir, storeUrl }) {
  const sql = `DELETE FROM oauth_tokens WHERE id NOT LIKE 'copy %'`;
  if (storeUrl === null) onSqlite(dataDir, (db) => db.exec(sql));
  else await onPostgres(storeUrl, sql, 'VACUUM oauth_tokens');
}

function copyOnSqlite(dataDir, count) {
  onSqlite(dataDir, (db) => {
    db.function('copied_hash', (n) => base64UrlHash(copiedToken(n)));
    db.exec(insertion(`copied_hash(n)`, count));
  });
}

function copyOnPostgres(storeUrl, count) {
  const base64Url = (bytes) => `translate(encode(${bytes}, 'base64'), '+/=', '-_')`;
  const text = `'kc_live_' || ${base64Url(`sha256(convert_to('token ' || n, 'UTF8'))`)}`;
  const hash = base64Url(`sha256(convert_to(${text}, 'UTF8'))`);
  return onPostgres(storeUrl, insertion(hash, count), 'VACUUM ANALYZE oauth_tokens', 'CHECKPOINT');
}

function insertion(hash, count) {
  const kept = [
    ...['tenant_id', 'sandbox', 'api_key_id', 'oauth_client_id', 'source_epoch', 'grant_type', 'scopes'],
    ...['issued_at', 'expires_at'],
  ];
  return `WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < ${count - 1}),
      minted AS (SELECT * FROM oauth_tokens LIMIT 1)
    INSERT INTO oauth_tokens (${kept.join(', ')}, id, token_hash)
    SELECT ${kept.join(', ')}, 'copy ' || n, ${hash} FROM minted, series`;
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

function base64UrlHash(text) {
  return createHash('sha256').update(text).digest('base64url');
}
