import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../kernel/clock.js';
import type { Bindable } from '../platform/storage/database.js';
import { openDatabase } from '../platform/storage/open-database.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf } from './notes.js';

/** Every kind of JavaScript value, and whether it may be bound to a column of text, of integers, of reals, of bytes. */
const VALUES: readonly (readonly [name: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['true', true],
  ['false', false],
  ['empty string', ''],
  ['string', 'text'],
  ['string of NUL', '\0'],
  ['string with NUL', 'a\0b'],
  ['lone high surrogate', '\ud800'],
  ['lone low surrogate', 'a\udc00'],
  ['swapped surrogates', '\udc00\ud800'],
  ['astral character', '\u{1d4b3}'],
  ['string of 64 MiB', 'x'.repeat(64 * 1024 * 1024)],
  ['two-byte string of 64 MiB', '\u20ac'.repeat(32 * 1024 * 1024)],
  ['zero', 0],
  ['minus zero', -0],
  ['integer', 42],
  ['largest safe integer', Number.MAX_SAFE_INTEGER],
  ['smallest safe integer', Number.MIN_SAFE_INTEGER],
  ['unsafe integer', 2 ** 53],
  ['largest number', Number.MAX_VALUE],
  ['fraction', 0.5],
  ['smallest number', Number.MIN_VALUE],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['minus Infinity', Number.NEGATIVE_INFINITY],
  ['bigint', 7n],
  ['largest int64', 2n ** 63n - 1n],
  ['smallest int64', -(2n ** 63n)],
  ['int64 and one', 2n ** 63n],
  ['huge bigint', 2n ** 4096n],
  ['symbol', Symbol('s')],
  ['registered symbol', Symbol.for('s')],
  ['function', () => 1],
  ['class', class {}],
  ['object', { a: 1 }],
  ['object without prototype', Object.create(null)],
  ['object that imitates a Buffer', Object.create(Buffer.prototype)],
  ['proxy', new Proxy({}, {})],
  ['proxy of a Buffer', new Proxy(Buffer.from('a'), {})],
  ['array', [1]],
  ['empty array', []],
  ['Date', new Date(0)],
  ['RegExp', /a/],
  ['Error', new Error('e')],
  ['Map', new Map()],
  ['Promise', Promise.resolve(1)],
  ['boxed string', Object('a')],
  ['boxed number', Object(1)],
  ['boxed bigint', Object(1n)],
  ['empty Buffer', Buffer.alloc(0)],
  ['Buffer', Buffer.from('bytes')],
  ['slice of a Buffer', Buffer.from('bytes').subarray(1, 3)],
  ['Buffer over shared memory', Buffer.from(new SharedArrayBuffer(4))],
  ['Buffer of 64 MiB', Buffer.alloc(64 * 1024 * 1024)],
  ['detached Buffer', detached()],
  ['Uint8Array', new Uint8Array(3)],
  ['Float64Array', new Float64Array(2)],
  ['ArrayBuffer', new ArrayBuffer(4)],
  ['SharedArrayBuffer', new SharedArrayBuffer(4)],
  ['DataView', new DataView(new ArrayBuffer(4))],
];

function detached(): Buffer {
  const bytes = new Uint8Array(4);
  const buffer = Buffer.from(bytes.buffer);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return buffer;
}

const dataDir = mkdtempSync(join(tmpdir(), 'knox-bind-'));
const db = await openDatabase(
  { kind: 'sqlite', path: join(dataDir, 'knox.db'), logPath: join(dataDir, 'knox-log.db') },
  { migrations: NOTE_MIGRATIONS, clock: systemClock },
);
const view = db.view<NotesDb>(NOTE_TABLES);
const byName = view.define<{ name: Bindable }, { id: string }>('bind_by_name', (queries, arg) =>
  queries
    .selectFrom('notes')
    .select('id')
    .where('name', '=', arg('name') as string),
);
let last = 0;

/** One letter for each way in: r for a row, x for an exception. */
async function outcome(write: () => Promise<unknown>): Promise<string> {
  return write().then(
    () => 'r',
    () => 'x',
  );
}

for (const [name, value] of VALUES) {
  let letters = '';
  for (const column of ['name', 'amount', 'ratio', 'payload']) {
    const row = () => ({ ...noteOf(`n${last++}`), [column]: value }) as ReturnType<typeof noteOf>;
    letters += await outcome(async () => view.scoped(LIVE).insertInto('notes').values(row()).execute());
    await view.scoped(LIVE).deleteFrom('notes').execute();
    letters += await outcome(async () => db.commitInserts([view.insertion('notes', LIVE, row())]));
    await view.scoped(LIVE).deleteFrom('notes').execute();
    letters += await outcome(async () =>
      db.transaction((tx) => view.scoped(LIVE, tx).insertInto('notes').values(row()).execute()),
    );
    await view.scoped(LIVE).deleteFrom('notes').execute();
  }
  letters += await outcome(async () => byName.all(LIVE, { name: value as Bindable }));
  process.stdout.write(`${name}: ${letters}\n`);
}
await db.close();
rmSync(dataDir, { recursive: true });
process.stdout.write('done\n');
