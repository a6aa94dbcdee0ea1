import { isPending, type Promisable } from '../../kernel/promisable.js';

/**
 * One read of a name at a time, and one that waits: it sees every change that was made before it begins, so that all who
 * ask until then share it. Else who changes a thing all the time has it read as often, at once and by everybody's CPU.
 * What can be read at once is read each time.
 */
export function createTurns<V>(): (name: string, read: () => Promisable<V>) => Promisable<V> {
  const running = new Map<string, Promise<unknown>>();
  const waiting = new Map<string, Promise<V>>();

  function begin(name: string, read: () => Promisable<V>): Promisable<V> {
    const value = read();
    if (!isPending(value)) return value;
    const end = () => {
      if (running.get(name) === ended) running.delete(name);
    };
    const ended: Promise<unknown> = value.then(end, end);
    running.set(name, ended);
    return value;
  }

  return (name, read) => {
    const shared = waiting.get(name);
    if (shared) return shared;
    const before = running.get(name);
    if (!before) return begin(name, read);
    const next = before.then(() => {
      waiting.delete(name);
      return begin(name, read);
    });
    waiting.set(name, next);
    return next;
  };
}
