import type { AppError } from './errors.js';

export interface LineOptions {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  /** How many of them may be one owner's; absent: all. */
  readonly ownerWaitingMax?: number;
  /** What is thrown where the line is full. */
  refusal(): AppError;
}

/**
 * Some at once, some more that wait; a crowd is turned away before it takes anything. Owners are served in turns, each in
 * the order in which its own came; who names none shares one.
 */
export interface Line {
  /** Throws where the line is full. */
  admit(owner?: string): void;
  /** Throws where the line is full, with nothing run. */
  inTurn<T>(work: () => Promise<T>, owner?: string): Promise<T>;
}

const NOBODY = '';

export function createLine(options: LineOptions): Line {
  const { atOnceMax, waitingMax, ownerWaitingMax = waitingMax, refusal } = options;
  /** Whose turn is next stands first. */
  const waiting = new Map<string, (() => void)[]>();
  let waitingCount = 0;
  let running = 0;

  function admit(owner = NOBODY): void {
    const own = waiting.get(owner)?.length ?? 0;
    if (waitingCount >= waitingMax || own >= ownerWaitingMax) throw refusal();
  }

  function wait(owner: string): Promise<void> {
    return new Promise((resolve) => {
      const own = waiting.get(owner);
      if (own) own.push(resolve);
      else waiting.set(owner, [resolve]);
      waitingCount++;
    });
  }

  function next(): (() => void) | undefined {
    for (const [owner, own] of waiting) {
      waiting.delete(owner);
      const first = own.shift();
      if (own.length > 0) waiting.set(owner, own);
      waitingCount--;
      return first;
    }
    return undefined;
  }

  return {
    admit,
    async inTurn(work, owner = NOBODY) {
      if (running >= atOnceMax) {
        admit(owner);
        await wait(owner);
      } else running++;
      try {
        return await work();
      } finally {
        // The place goes to the next in line, or is given up.
        const begin = next();
        if (begin) begin();
        else running--;
      }
    },
  };
}
