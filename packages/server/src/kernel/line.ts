import type { AppError } from './errors.js';

export interface LineOptions {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  /** What is thrown where the line is full. */
  refusal(): AppError;
}

/** Some at once, some more in the order in which they came; a crowd is turned away before it takes anything. */
export interface Line {
  /** Throws where the line is full. */
  admit(): void;
  /** Throws where the line is full, with nothing run. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

export function createLine({ atOnceMax, waitingMax, refusal }: LineOptions): Line {
  const waiting: (() => void)[] = [];
  let running = 0;

  function admit(): void {
    if (waiting.length >= waitingMax) throw refusal();
  }

  return {
    admit,
    async inTurn(work) {
      if (running >= atOnceMax) {
        admit();
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else running++;
      try {
        return await work();
      } finally {
        // The place goes to the next in line, or is given up.
        const next = waiting.shift();
        if (next) next();
        else running--;
      }
    },
  };
}
