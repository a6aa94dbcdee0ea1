import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Checkpoint, Trust } from './checkpoint.js';
import { type ChainLink, type ChainPlace, START } from './store.js';

/** One chain as its verification reads it. */
export interface ChainSource {
  head(): Promise<ChainPlace>;
  /** Highest number that stands in the chain. */
  last(): Promise<number | null>;
  links(after: number, upTo: number, limit: number): Promise<readonly ChainLink[]>;
  checkpoints(from: number, upTo: number): Promise<readonly Checkpoint[]>;
  newest(kind: Checkpoint['kind']): Promise<Checkpoint | undefined>;
}

export interface VerifyOptions {
  readonly trust: Trust;
  /** Numbers of rows, both inclusive. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** Some 2 ms of hashing: on SQLite it is the event loop that reads. */
const BATCH_ROWS = 200;

export interface BadRow {
  readonly sequenceNumber: number;
  readonly reason: string;
}

export interface Verification {
  readonly checked: number;
  readonly firstBad: BadRow | null;
  readonly head: ChainPlace;
}

class Refused extends Error {
  constructor(readonly bad: BadRow) {
    super(bad.reason);
  }
}

/** How far the verification has come. */
interface Walk {
  at: ChainPlace;
  checked: number;
}

/**
 * Reads a chain from its old end (or `from`) to what was its head at the beginning, and compares it with its rows, its
 * checkpoints and its head. Rows sealed and rows trimmed meanwhile raise no alarm.
 */
export async function verifyChain(source: ChainSource, options: VerifyOptions): Promise<Verification> {
  const head = await source.head();
  const end = Math.min(options.to ?? head.sequenceNumber, head.sequenceNumber);
  const walk: Walk = { at: START, checked: 0 };
  try {
    walk.at = await begin(source, head, options);
    while (walk.at.sequenceNumber < end) {
      const after = walk.at.sequenceNumber;
      const links = await source.links(after, end, BATCH_ROWS);
      const checkpoints = await source.checkpoints(after + 1, links.at(-1)?.sequenceNumber ?? end);
      await follow(source, options.trust, walk, links, checkpoints);
      await nextTurn();
    }
    if (end === head.sequenceNumber) await assertHead(source, walk.at, head);
    return { checked: walk.checked, firstBad: null, head };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { checked: walk.checked, firstBad: error.bad, head };
  }
}

async function begin(
  source: ChainSource,
  head: ChainPlace,
  { from, trust }: VerifyOptions,
): Promise<ChainPlace> {
  const trimmed = await trimmedTo(source, trust);
  if (from === undefined || from <= trimmed.sequenceNumber + 1) return trimmed;
  const [before] = await source.links(from - 2, from - 1, 1);
  if (before) return before;
  if (from <= head.sequenceNumber) refuse(from - 1, 'the row is missing');
  return { ...START, sequenceNumber: from - 1 };
}

async function trimmedTo(source: ChainSource, trust: Trust): Promise<ChainPlace> {
  const trim = await source.newest('trim');
  if (!trim) return START;
  if (!trust.isTrusted(trim))
    refuse(trim.sequenceNumber, 'the signature of the trimming checkpoint is not ours');
  return trim;
}

async function follow(
  source: ChainSource,
  trust: Trust,
  walk: Walk,
  links: readonly ChainLink[],
  checkpoints: readonly Checkpoint[],
): Promise<void> {
  for (const link of links.length > 0 ? links : [null]) {
    const { at } = walk;
    const next = at.sequenceNumber + 1;
    const hash = link?.sequenceNumber === next ? link.hashOf(at.rowHash) : null;
    if (link === null || hash === null) {
      // Trimmed since it was read? Then the verification goes on behind that.
      const trimmed = await trimmedTo(source, trust);
      if (trimmed.sequenceNumber < next) refuse(next, 'the row is missing');
      walk.at = trimmed;
      return;
    }
    if (!link.prevHash.equals(at.rowHash)) refuse(next, 'it does not follow the row before it');
    if (!link.rowHash.equals(hash)) refuse(next, 'the row was changed');
    for (const checkpoint of checkpoints.filter(({ sequenceNumber }) => sequenceNumber === next)) {
      if (!trust.isTrusted(checkpoint)) refuse(next, 'the signature of its checkpoint is not ours');
      if (!checkpoint.rowHash.equals(hash))
        refuse(next, 'its checkpoint says otherwise: this row or one before it was changed');
    }
    walk.at = { sequenceNumber: next, rowHash: hash };
    walk.checked++;
  }
}

/** That the chain ends where its head and its checkpoints say. */
async function assertHead(source: ChainSource, at: ChainPlace, head: ChainPlace): Promise<void> {
  if (at.sequenceNumber === head.sequenceNumber && !at.rowHash.equals(head.rowHash))
    refuse(at.sequenceNumber, 'the recorded head says otherwise: this row or one before it was changed');
  const reached = [await source.last(), (await source.newest('checkpoint'))?.sequenceNumber];
  // Read after them: what was sealed meanwhile has moved it on.
  const { sequenceNumber } = await source.head();
  for (const number of reached) {
    if (number && number > sequenceNumber) refuse(sequenceNumber + 1, 'rows from here on are missing');
  }
}

function refuse(sequenceNumber: number, reason: string): never {
  throw new Refused({ sequenceNumber, reason });
}
