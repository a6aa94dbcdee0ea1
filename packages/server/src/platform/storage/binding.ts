import type { Bindable } from './database.js';

/** One value may not be larger than this; a writer thread must never run out of memory over one row. */
const VALUE_BYTES_MAX = 16 * 1024 * 1024;

/** Node has had it since 20; the compiler's list of that year's language has not. */
type WellFormedText = string & { isWellFormed(): boolean };

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A value that must not reach a driver. The text names the kind of value, never the value. */
export class UnbindableValue extends Error {
  override readonly name = 'UnbindableValue';
}

/**
 * The one gate to both drivers: what passes is a well-formed string without NUL, a safe integer, a bigint within
 * int64, a finite fraction, a Buffer or null. All else throws here, because native drivers have answered some kinds
 * of value with a signal, and the two databases disagree about NUL and lone surrogates.
 */
export function assertBindable(value: unknown): asserts value is Bindable {
  if (value === null) return;
  switch (typeof value) {
    case 'string':
      return assertText(value);
    case 'number':
      // A whole number past 2^53 may have lost digits already.
      if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
        throw new UnbindableValue('number is neither a safe integer nor a finite fraction');
      }
      return;
    case 'bigint':
      if (value < INT64_MIN || value > INT64_MAX) throw new UnbindableValue('bigint is outside int64');
      return;
    case 'object':
      if (!Buffer.isBuffer(value)) throw new UnbindableValue(`${kindOf(value)} cannot be bound`);
      if (value.length > VALUE_BYTES_MAX) throw new UnbindableValue('Buffer is too large');
      return;
    default:
      throw new UnbindableValue(`${typeof value} cannot be bound`);
  }
}

function assertText(text: string): void {
  if (text.length > VALUE_BYTES_MAX) throw new UnbindableValue('string is too long');
  if (text.includes('\0')) throw new UnbindableValue('string holds NUL');
  if (!(text as WellFormedText).isWellFormed()) throw new UnbindableValue('string holds a lone surrogate');
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Roughly what a value occupies in a queue. */
export function bytesOf(value: Bindable): number {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value.length : 8;
}

/** Table and column names are written by us, never by a caller; this catches the day one is not. */
export function assertIdentifier(name: string): void {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) throw new UnbindableValue('name is not a lower-case identifier');
}
