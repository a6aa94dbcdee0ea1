/** Thrown where only a bug can be the cause; becomes 500 `internal_error`, its text never leaves the process. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}
