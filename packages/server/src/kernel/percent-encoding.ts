/** Whether a path can be decoded: each `%` begins two hex digits, and what they stand for is UTF-8. */
export function isPercentEncoded(path: string): boolean {
  if (!path.includes('%')) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
