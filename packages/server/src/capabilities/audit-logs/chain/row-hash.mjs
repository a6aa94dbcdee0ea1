// @ts-check
// The bytes of both chains (auth.md §8.2). Plain JavaScript, because SQLite's writer thread seals with it as well.
import { hash } from 'node:crypto';

const DOMAIN = Buffer.from('knoxcall.audit.v1', 'ascii');
const NULL_LENGTH = 0xffffffff;

/** What stands before the first row of a chain. */
export const NO_HASH = Buffer.alloc(32);

/** What a sealer reads of a tenant's row, besides the tenant, in the order of the table. */
export const SEALED_COLUMNS = /** @type {const} */ ([
  'id',
  'user_id',
  'api_key_id',
  'oauth_client_id',
  'actor_type',
  'action',
  'resource_type',
  'resource_id',
  'details',
  'ip_address',
  'request_id',
  'created_at',
  'verb',
  'is_sandbox',
]);

/** What the hash of a tenant's row is made of; `sequence_number` stands before them, `prev_hash` first. */
const AUDIT_COLUMNS = /** @type {const} */ (['tenant_id', ...SEALED_COLUMNS]);

const CRITICAL_COLUMNS = /** @type {const} */ ([
  'at',
  'tenant_id',
  'actor_id',
  'action',
  'resource_type',
  'resource_id',
  'details',
]);

const TIME_COLUMNS = new Set(['created_at', 'at']);

/**
 * @param {Uint8Array} prevHash
 * @param {number} sequenceNumber
 * @param {Readonly<Record<typeof AUDIT_COLUMNS[number], string | number | null>>} row
 */
export function auditRowHash(prevHash, sequenceNumber, row) {
  return hashOf(prevHash, sequenceNumber, AUDIT_COLUMNS, row);
}

/**
 * @param {Uint8Array} prevHash
 * @param {number} sequenceNumber
 * @param {Readonly<Record<typeof CRITICAL_COLUMNS[number], string | number | null>>} row
 */
export function criticalRowHash(prevHash, sequenceNumber, row) {
  return hashOf(prevHash, sequenceNumber, CRITICAL_COLUMNS, row);
}

/**
 * @param {Uint8Array} prevHash
 * @param {number} sequenceNumber
 * @param {readonly string[]} columns
 * @param {Readonly<Record<string, string | number | null>>} row
 */
function hashOf(prevHash, sequenceNumber, columns, row) {
  let charactersMax = 20;
  for (const column of columns) {
    const value = row[column];
    charactersMax += typeof value === 'string' ? value.length : 32;
  }
  const bytes = room(DOMAIN.length + 4 * (columns.length + 2) + prevHash.length + 3 * charactersMax);
  let at = DOMAIN.copy(bytes);
  at = bytes.writeUInt32BE(prevHash.length, at);
  bytes.set(prevHash, at);
  at = writeField(bytes, at + prevHash.length, String(sequenceNumber));
  for (const column of columns) at = writeField(bytes, at, textOf(column, row[column] ?? null));
  return hash('sha256', bytes.subarray(0, at), 'buffer');
}

/** Kept from row to row: a row is hashed in one go. */
let scratch = Buffer.alloc(16_384);

/** @param {number} size */
function room(size) {
  if (size > scratch.length) scratch = Buffer.alloc(size);
  return scratch;
}

/** @param {Buffer} bytes @param {number} at @param {string | null} text */
function writeField(bytes, at, text) {
  if (text === null) return bytes.writeUInt32BE(NULL_LENGTH, at);
  const length = bytes.write(text, at + 4, 'utf8');
  return bytes.writeUInt32BE(length, at) + length;
}

/** The last time that was written: many rows are of one millisecond. */
let lastTime = Number.NaN;
let lastTimeText = '';

/** @param {number} time */
function timeText(time) {
  if (time !== lastTime) {
    lastTime = time;
    lastTimeText = new Date(time).toISOString().replace('Z', '000Z');
  }
  return lastTimeText;
}

/** Integers in decimal, times as RFC 3339 in UTC with microseconds, texts as they are. @param {string} column @param {string | number | null} value */
function textOf(column, value) {
  if (typeof value !== 'number') return value;
  return TIME_COLUMNS.has(column) ? timeText(value) : String(value);
}
