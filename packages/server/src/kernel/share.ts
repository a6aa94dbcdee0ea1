import { isPending, type Promisable } from './promisable.js';

/** Who asks for what is being made waits for it, in place of making it too. Holds nothing that is not under way. */
export function createShare<T>(): (name: string, make: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, Promise<T>>();
  return (name, make) => {
    const known = underWay.get(name);
    if (known) return known;
    const made = make().finally(() => underWay.delete(name));
    underWay.set(name, made);
    return made;
  };
}

/**
 * One at a time of a name, and one that waits: it sees every change that was made before it begins, so that all who
 * ask until then share it. Else who changes a thing all the time has it made as often, at once and by everybody's CPU.
 * What can be made at once is made each time.
 */
export function createTurns<V>(): (name: string, make: () => Promisable<V>) => Promisable<V> {
  const running = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, Promise<V>>();

  function begin(name: string, make: () => Promisable<V>): Promisable<V> {
    const value = make();
    if (!isPending(value)) return value;
    const end = () => {
      if (running.get(name) === ended) running.delete(name);
    };
    const ended: Promise<unknown> = value.then(end, end);
    running.set(name, ended);
    return value;
  }

  return (name, make) => {
    const shared = waiting.get(name);
    if (shared) return shared;
    const before = running.get(name);
    if (!before) return begin(name, make);
    const next = before.then(() => {
      waiting.delete(name);
      return begin(name, make);
    });
    waiting.set(name, next);
    return next;
  };
}
