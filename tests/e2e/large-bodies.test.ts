import { createHash, type Hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite, type Scene, setScene } from './scene.js';
import { killAll } from './server-process.js';

declare module 'vitest' {
  interface TaskMeta {
    /** Of the server's resident memory, at most, during a test; printed by `npm run soak`. */
    grewBytes?: number;
  }
}

const MB = 1_000_000;
/** Of one body; the contract's limit is 100 MiB. */
const BODY_BYTES = 100 * MB;
/** 100 MB in both directions each; `npm run soak` does 20. */
const ROUNDS = Number(process.env['KNOX_LARGE_BODY_ROUNDS'] ?? 1);
/** Over hours a heap settles higher than over a second; either is less than a body for each direction. */
const GROWTH_BYTES_MAX = (ROUNDS === 1 ? 60 : 100) * MB;
/** The sockets between client, server and upstream hold up to some 50 MB by themselves. */
const BLOCKED_BYTES_MAX = 90 * MB;
const BLOCK = randomBytes(MB);
const ROUND_MS_MAX = 60_000;

/** The upstream answers with what it is sent, while it is sent, once it may read. */
let mayRead: Promise<void> = Promise.resolve();
let received: Hash;
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.pause();
  response.writeHead(200, { 'content-type': 'application/octet-stream' }).flushHeaders();
  await mayRead;
  request.on('data', (chunk) => received.update(chunk));
  request.pipe(response);
}

let scene: Scene;
let peakBytes = 0;
/** Asks the server itself: each answer shows also that it has had its turns meanwhile. */
async function residentBytes(): Promise<number> {
  const metrics = await (await fetch(`${scene.server.url}/metrics`)).text();
  const bytes = Number(/^knox_process_resident_memory_bytes (\S+)$/m.exec(metrics)![1]);
  peakBytes = Math.max(peakBytes, bytes);
  return bytes;
}

beforeAll(async () => {
  scene = await setScene(await openSqlite(), echo);
  received = createHash('sha256');
  // The first of everything takes memory once.
  await exchange({ bytes: 20 * MB, readsAs: takeAll });
}, ROUND_MS_MAX);
afterAll(async () => {
  await scene?.close();
  await killAll();
});
beforeEach(() => {
  mayRead = Promise.resolve();
});

interface Transfer {
  readonly bytes?: number;
  readonly isChunked?: boolean;
  /** Of one write; each then waits for a turn of the loop. */
  readonly pieceBytes?: number;
  readonly readsAs: (response: IncomingMessage, digest: Hash) => Promise<void>;
  /** Called when the server takes no more, with what it has taken. */
  readonly onBlocked?: (writtenBytes: number) => void;
}

async function takeAll(response: IncomingMessage, digest: Hash): Promise<void> {
  for await (const chunk of response) digest.update(chunk as Buffer);
}

/** One turn of the loop between two pieces. */
async function takeSlowly(response: IncomingMessage, digest: Hash): Promise<void> {
  for await (const chunk of response) {
    digest.update(chunk as Buffer);
    await nextTurn();
  }
}

/** Sends the body through the proxy and compares what comes out on either side with it. */
async function exchange(transfer: Transfer): Promise<void> {
  const { bytes = BODY_BYTES, isChunked = false, readsAs } = transfer;
  received = createHash('sha256');
  const request = httpRequest(`${scene.server.url}/v1/proxy`, {
    method: 'PUT',
    agent: false,
    headers: {
      authorization: `Bearer ${scene.bootstrap.live_api_key}`,
      'x-knox-proxy-url': `${scene.target}/echo`,
      'x-knox-proxy-mode': 'transparent',
      ...(isChunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(bytes) }),
    },
  });
  request.flushHeaders();
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  const sent = createHash('sha256');
  const returned = createHash('sha256');
  const reading = answered.then(([response]) => {
    expect(response.headers['x-knox-destination-status']).toBe('200');
    return readsAs(response, returned);
  });
  await Promise.all([reading, write(request, bytes, sent, transfer)]);
  const expected = sent.digest('hex');
  expect(received.digest('hex')).toBe(expected);
  expect(returned.digest('hex')).toBe(expected);
}

async function write(
  request: ClientRequest,
  bytes: number,
  sent: Hash,
  { pieceBytes, onBlocked }: Transfer,
): Promise<void> {
  let isBlocked = false;
  for (let at = 0; at < bytes; ) {
    const offset = at % BLOCK.length;
    const piece = BLOCK.subarray(
      offset,
      Math.min(offset + (pieceBytes ?? BLOCK.length), offset + bytes - at),
    );
    at += piece.length;
    sent.update(piece);
    request.write(piece);
    if (Math.floor(at / (5 * MB)) !== Math.floor((at - piece.length) / (5 * MB))) await residentBytes();
    if (pieceBytes) await nextTurn();
    if (!request.writableNeedDrain) continue;
    const drained = once(request, 'drain');
    if (onBlocked && !isBlocked) isBlocked = await reportedAsBlocked(request, drained, () => onBlocked(at));
    await drained;
  }
  request.end();
  if (onBlocked) expect(isBlocked).toBe(true);
}

const TURNS_WITHOUT_ROOM = 50;

async function reportedAsBlocked(
  request: ClientRequest,
  drained: Promise<unknown>,
  report: () => void,
): Promise<boolean> {
  let isDrained = false;
  void drained.then(() => {
    isDrained = true;
  });
  for (let turn = 0; turn < TURNS_WITHOUT_ROOM && !isDrained; turn++) await residentBytes();
  if (isDrained || !request.writableNeedDrain) return false;
  report();
  return true;
}

describe(`${ROUNDS} x 100 MB through transparent mode, there and back: the same bytes, and flat memory`, () => {
  const held = () => {
    let release!: () => void;
    const promise = new Promise<void>((resolve) => {
      release = resolve;
    });
    return { promise, release };
  };

  const cases: [string, () => Transfer][] = [
    ['with a length', () => ({ readsAs: takeAll })],
    ['in chunks', () => ({ isChunked: true, readsAs: takeAll })],
    ['by a slow writer and a slow reader', () => ({ pieceBytes: 16_000, readsAs: takeSlowly })],
    [
      'to an upstream that reads nothing for a while: the client is held up',
      () => {
        const upstream = held();
        mayRead = upstream.promise;
        return {
          readsAs: takeAll,
          onBlocked(writtenBytes) {
            expect(writtenBytes).toBeLessThan(BLOCKED_BYTES_MAX);
            upstream.release();
          },
        };
      },
    ],
    [
      'to a client that reads nothing for a while: the upstream is held up, and so the client’s own upload',
      () => {
        const client = held();
        return {
          isChunked: true,
          async readsAs(response, digest) {
            await client.promise;
            await takeAll(response, digest);
          },
          onBlocked(writtenBytes) {
            expect(writtenBytes).toBeLessThan(BLOCKED_BYTES_MAX);
            client.release();
          },
        };
      },
    ],
  ];

  it.for(cases)('%s', { timeout: ROUNDS * ROUND_MS_MAX }, async ([, transfer], { task }) => {
    task.meta.grewBytes = 0;
    const before = await residentBytes();
    peakBytes = 0;
    for (let round = 0; round < ROUNDS; round++) await exchange(transfer());
    await residentBytes();
    task.meta.grewBytes = peakBytes - before;
    expect(peakBytes - before).toBeLessThan(GROWTH_BYTES_MAX);
  });
});
