/** A calendar month of UTC (dataplane.md §1.6). */
export interface Month {
  /** As stored: 202601. */
  readonly number: number;
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly startMs: number;
  /** The first moment of the next one. */
  readonly endMs: number;
}

export function monthOf(nowMs: number): Month {
  const date = new Date(nowMs);
  const year = date.getUTCFullYear();
  const index = date.getUTCMonth();
  return {
    number: year * 100 + index + 1,
    year,
    month: index + 1,
    startMs: Date.UTC(year, index, 1),
    endMs: Date.UTC(year, index + 1, 1),
  };
}
