import type { CountWindow } from '../../platform/limits/count-windows.js';
import { rateLimited } from './problems.js';

export interface NetworkCount {
  readonly window: CountWindow;
  readonly count: number;
  readonly most: number;
  /** What there are too many of. */
  readonly what: string;
}

/** Counted at once, so that what is under way counts too; what fails is given back. */
export async function countedWhile<T>(
  { window, count, most, what }: NetworkCount,
  work: () => Promise<T>,
): Promise<T> {
  if (window.count + count > most)
    throw rateLimited(`Too many new ${what} from this network`, window.leftMs());
  window.count += count;
  try {
    return await work();
  } catch (error) {
    window.count -= count;
    throw error;
  }
}
