/**
 * What a filter on actions means (auth.md §8.3): `vault.create` exactly, `create` any `*.create`, and either in the
 * past tense, as other products write them.
 */
export interface ActionFilter {
  readonly column: 'action' | 'verb';
  /** Spellings to look for; names that no action has do no harm. */
  readonly anyOf: readonly string[];
}

export function parseActionFilter(text: string): ActionFilter {
  return { column: text.includes('.') ? 'action' : 'verb', anyOf: spellings(text) };
}

/** The text itself first: `auth.login_failed` is no past tense of anything. */
function spellings(text: string): string[] {
  const found = [text];
  if (text.endsWith('ed')) {
    const stem = text.slice(0, -2);
    found.push(`${stem}e`, stem);
    if (stem.at(-1) === stem.at(-2)) found.push(stem.slice(0, -1));
    if (stem.endsWith('i')) found.push(`${stem.slice(0, -1)}y`);
  }
  return found;
}

export function verbOf(action: string): string {
  return action.slice(action.lastIndexOf('.') + 1);
}
