/** What a built-in rule finds. */
export const BUILTINS = ['pan', 'email', 'ssn', 'key'] as const;
export type Builtin = (typeof BUILTINS)[number];

/** Takes one found stretch; positions count from the start of the text, `end` is exclusive. */
export type Report = (kind: Builtin, start: number, end: number) => void;

/**
 * Reads a text piece by piece, once, in linear time, and needs none of it again. What it reports does not depend on
 * where the pieces were cut.
 */
export interface Scanner {
  feed(piece: string, report: Report): void;
  /** The text has ended. */
  finish(report: Report): void;
  /** No stretch reported from now on starts before this position. */
  settledBefore(): number;
  /** Start of a stretch that is certain to be reported although its end is not known yet. */
  openSince(): number | null;
  /** Forgets everything: the next piece begins a new text. */
  reset(): void;
}
