import { LIMITS } from '../../kernel/limits.js';
import { createLine } from '../../kernel/line.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { tooManyVisitors } from './errors.js';

/** A transaction for somebody who is not signed in; 503 where too many wait for one already, with nothing run. */
export type VisitorWrites = <T>(run: (tx: Transaction) => Promise<T>) => Promise<T>;

/** Everybody may ask for these, so they wait in a short line of their own: the database's is left to known callers. */
export function createVisitorWrites(db: Pick<Database, 'transaction'>): VisitorWrites {
  const line = createLine({
    atOnceMax: LIMITS.visitorWritesAtOnceMax,
    waitingMax: LIMITS.visitorWritesWaitingMax,
    refusal: tooManyVisitors,
  });
  return (run) => line.inTurn(() => db.transaction(run));
}
