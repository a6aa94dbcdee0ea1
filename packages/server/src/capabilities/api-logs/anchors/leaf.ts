import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExpressionBuilder } from 'kysely';
import { isoTime } from '../../../kernel/clock.js';
import { sha256Latin1 } from '../../../platform/crypto/hashing.js';
import type { Database } from '../../../platform/storage/database.js';
import type { ApiLogTables } from '../tables.js';

/** The first twelve members of a row, in their order: fixed for ever (dataplane §10). They are named as their columns. */
export const LEAF_FIELDS = [
  'id',
  'request_id',
  'tenant_id',
  'route_id',
  'matched_client_id',
  'identification_method',
  'method',
  'status_code',
  'src_ip',
  'environment',
  'sandbox',
  'ts',
] as const;

/** Of leaf and tree together; another form of either gets another name, and this one stays readable. */
export const ALGO = 'sha256-rfc6962-jcs';

export interface LogLeaf {
  /** Number of the row. */
  readonly id: number;
  /** The values as the API shows them, as a JSON array in the form of RFC 8785, which for these is that of `JSON.stringify`. */
  readonly text: string;
}

const [, ...BEHIND_ID] = LEAF_FIELDS;

/** The values as columns have them, put together by the database: each row passed on in twelve pieces would cost more than its hash. */
export function storedLeaf(dialect: Database['dialect']) {
  return (q: ExpressionBuilder<ApiLogTables, 'api_logs'>) => {
    const values = [q.cast('id', 'text'), ...BEHIND_ID];
    return dialect === 'sqlite'
      ? q.fn<string>('json_array', values).as('leaf')
      : q.cast<string>(q.fn('json_build_array', values), 'text').as('leaf');
  };
}

/** From what `storedLeaf` gave. Its last two values are numbers there, and a boolean and a time of day in a leaf. */
export function leafOf(stored: string): LogLeaf {
  const array = isCanonical(stored) ? stored : JSON.stringify(JSON.parse(stored));
  const ts = array.lastIndexOf(',');
  const sandbox = array.lastIndexOf(',', ts - 1);
  const isSandbox = array.slice(sandbox + 1, ts) === '1';
  const time = isoTime(Number(array.slice(ts + 1, -1)));
  return {
    id: Number(array.slice(2, array.indexOf('"', 2))),
    text: `${array.slice(0, sandbox)},${isSandbox},"${time}"]`,
  };
}

/** Where nothing is escaped nothing can be escaped in another way. PostgreSQL puts blanks between values; one within a value costs time alone. */
function isCanonical(array: string): boolean {
  return !array.includes('\\') && !array.includes(', ');
}

/** RFC 6962 §2.1: `SHA-256(0x00 || leaf)`; the hash has a character a byte. */
export function leafHash({ text }: LogLeaf): string {
  return sha256Latin1(`\0${text}`);
}

const HASHED_A_TURN = 250;

/** Of one page, in its order; the loop is left to others in between. */
export async function hashLeaves(
  leaves: readonly LogLeaf[],
  take: (hash: string, leaf: LogLeaf) => void,
): Promise<void> {
  for (const [at, leaf] of leaves.entries()) {
    if (at % HASHED_A_TURN === 0) await nextTurn();
    take(leafHash(leaf), leaf);
  }
}
