/** A result that is known already, or that is being found out: who gets one need not wait for what is there. */
export type Promisable<T> = T | Promise<T>;

export function isPending<T>(result: Promisable<T>): result is Promise<T> {
  return result instanceof Promise;
}
