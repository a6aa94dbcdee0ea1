/**
 * How well one side can be told from the other by its times: the share of pairs in which the second took longer (Mann and
 * Whitney's U over the number of pairs, the area under the ROC curve). A half: they cannot be told apart.
 */
export function areaUnderCurve(first: readonly number[], second: readonly number[]): number {
  const all = [
    ...first.map((value) => ({ value, isSecond: false })),
    ...second.map((value) => ({ value, isSecond: true })),
  ].sort((a, b) => a.value - b.value);
  let ranks = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]!.value === all[from]!.value) to++;
    // Equal times share the middle of their ranks.
    const rank = (from + 1 + to) / 2;
    ranks += rank * all.slice(from, to).filter(({ isSecond }) => isSecond).length;
    from = to;
  }
  const count = second.length;
  return (ranks - (count * (count + 1)) / 2) / (first.length * count);
}

/** The standard error of that area where both sides are alike. */
export function standardError(first: number, second: number): number {
  return Math.sqrt((first + second + 1) / (12 * first * second));
}

export function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
