/** The HTTP server knows only of sockets: the last of them may close before a call has written its row. */
export interface CallsUnderWay {
  /** Until it has ended, whether well or not. */
  add(call: Promise<void>): void;
  /** Resolves when every call that has begun is over and has its log row queued. */
  settled(): Promise<void>;
}

export function createCallsUnderWay(): CallsUnderWay {
  const calls = new Set<Promise<void>>();
  return {
    add(call) {
      calls.add(call);
      const isOver = () => calls.delete(call);
      void call.then(isOver, isOver);
    },
    async settled() {
      await Promise.allSettled(calls);
    },
  };
}
