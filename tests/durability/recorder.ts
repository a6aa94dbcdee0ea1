import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SYNC_MS = '50';

const SOURCE = fileURLToPath(new URL('./record-io.c', import.meta.url));

/** SQLite's file format, section 4.1: a frame is a header of 24 bytes, written by itself, and a page. */
const FRAME_HEADER_BYTES = 24;
/** Of the header: not 0 in the frame that commits. */
const COMMIT_MARK_AT = 4;

type Event =
  | { readonly kind: 'write'; readonly data: Buffer }
  | { readonly kind: 'sync' | 'synced' }
  | { readonly kind: 'send'; readonly ownPort: number; readonly peerPort: number };

export interface Recorder {
  /** For the server whose order of writes, syncs and sends is to be known. */
  readonly environment: Readonly<Record<string, string>>;
  /** From now on: what `eventsSince` is to be given. */
  mark(): number;
  eventsSince(mark: number): Event[];
  remove(): void;
}

/** Why there is none, as the end of a sentence; else a shared object to preload. */
export function buildRecorder(): Recorder | { readonly reason: string } {
  if (process.platform !== 'linux') return { reason: 'it is preloaded as on Linux' };
  const dir = mkdtempSync(join(tmpdir(), 'knox-order-'));
  const library = join(dir, 'record-io.so');
  try {
    const flags = ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra'];
    execFileSync('cc', [...flags, '-o', library, SOURCE, '-ldl', '-lpthread'], { stdio: 'pipe' });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { reason: 'there is no C compiler, cc' };
    throw error;
  }
  const file = join(dir, 'events');
  return {
    environment: {
      LD_PRELOAD: library,
      RECORD_FILE: file,
      RECORD_NAME: 'knox.db-wal',
      RECORD_SYNC_MS: SYNC_MS,
    },
    mark: () => statSync(file).size,
    eventsSince: (mark) =>
      readFileSync(file).subarray(mark).toString('latin1').trimEnd().split('\n').map(parseEvent),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function parseEvent(line: string): Event {
  const [kind, first = '', second = ''] = line.split(' ');
  switch (kind) {
    case 'write':
      return { kind, data: Buffer.from(first, 'hex') };
    case 'sync':
    case 'synced':
      return { kind };
    case 'send':
      return { kind, ownPort: Number(first), peerPort: Number(second) };
    default:
      throw new Error(`not an event: ${line.slice(0, 80)}`);
  }
}

/** Where the transaction that wrote the text became durable; the end where it did not. */
export function durableAt(events: readonly Event[], text: string): number {
  const from = (index: number, matches: (event: Event) => boolean) => {
    const found = events.slice(index).findIndex(matches);
    return found === -1 ? events.length : index + found;
  };
  const isWrite = (event: Event) => event.kind === 'write';
  const rowAt = from(0, (event) => event.kind === 'write' && event.data.includes(text));
  if (rowAt === events.length) throw new Error(`no write holds ${text}`);
  const headerAt = Math.max(0, events.slice(0, rowAt).findLastIndex(isWrite));
  const commitAt = from(
    headerAt,
    (event) =>
      event.kind === 'write' &&
      event.data.length === FRAME_HEADER_BYTES &&
      event.data.readUInt32BE(COMMIT_MARK_AT) !== 0,
  );
  if (commitAt === events.length) throw new Error(`no frame commits ${text}`);
  const writtenAt = from(commitAt + 1, isWrite);
  const syncAt = from(writtenAt + 1, ({ kind }) => kind === 'sync');
  return from(syncAt + 1, ({ kind }) => kind === 'synced');
}

/** When the first byte went out by a port, ours or the other side's. */
export function sentAt(events: readonly Event[], port: { readonly own: number } | { readonly peer: number }) {
  const found = events.findIndex(
    (event) =>
      event.kind === 'send' && ('own' in port ? event.ownPort === port.own : event.peerPort === port.peer),
  );
  if (found === -1) throw new Error(`nothing went out: ${JSON.stringify(port)}`);
  return found;
}
