import { assert } from '../../kernel/assert.js';
import type { EnvelopePlace } from '../../platform/crypto/envelope-cipher.js';

/**
 * A column that holds KCT1 envelopes. Every one is registered: only then can a new master key version reach it
 * (kms-admin.md §3.5). Such a column's name ends in `_envelope`.
 */
export interface EnvelopeColumn {
  readonly table: string;
  /** Its value is the place's `rowId`. */
  readonly idColumn: string;
  readonly column: string;
  /** `row`: the place's mode is that of the row; `none`: the rows have no mode. */
  readonly mode: 'row' | 'none';
  /** What the table was called when its first envelopes were sealed: they are bound to that name, and stay so. */
  readonly boundAs?: string;
}

/** The name of the table in the place of its envelopes. */
export function boundTableOf({ boundAs, table }: EnvelopeColumn): string {
  return boundAs ?? table;
}

export type EnvelopeRegistry = (place: EnvelopePlace) => void;

/** Gives the check that lets nothing be sealed for a column that no rewrap would find. */
export function createEnvelopeRegistry(columns: readonly EnvelopeColumn[]): EnvelopeRegistry {
  const modes = new Map(columns.map((entry) => [`${boundTableOf(entry)}.${entry.column}`, entry.mode]));
  return ({ table, column, mode }) => {
    const registered = modes.get(`${table}.${column}`);
    assert(registered !== undefined, `${table}.${column} is not a registered envelope column`);
    assert(
      (mode === '') === (registered === 'none'),
      `${table}.${column} is registered with mode ${registered}`,
    );
  };
}
