/** Segments of a subject end at these; a star stays within one. */
const SEPARATORS = /([:/])/;

/** Whether the subject is what the pattern says: to the letter but for stars, each of which stands for any text of one segment. */
export function subjectMatches(pattern: string, subject: string): boolean {
  if (!pattern.includes('*')) return pattern === subject;
  const expected = pattern.split(SEPARATORS);
  const given = subject.split(SEPARATORS);
  // Every second part is a separator, and has no star.
  return expected.length === given.length && expected.every((part, at) => segmentMatches(part, given[at]!));
}

/** Piece after piece from the left, each looked for once: nothing is tried again. */
function segmentMatches(pattern: string, segment: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === segment;
  if (!segment.startsWith(first)) return false;
  let from = first.length;
  for (const piece of rest) {
    const at = segment.indexOf(piece, from);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return segment.length - last.length >= from && segment.endsWith(last);
}

/** The text before the segment of the first star, its separator included. */
export function literalStart(pattern: string): string {
  const before = pattern.slice(0, pattern.indexOf('*'));
  return before.slice(0, Math.max(before.lastIndexOf(':'), before.lastIndexOf('/')) + 1);
}

/** Everything that `literalStart` could give of a pattern that matches this subject. */
export function startsOf(subject: string): string[] {
  const ends = [...subject.matchAll(/[:/]/g)].map(({ index }) => index + 1);
  return ['', ...ends.map((end) => subject.slice(0, end))];
}
