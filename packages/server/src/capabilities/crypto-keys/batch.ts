import { type ErrorType, isAppError } from '../../kernel/errors.js';
import type { Promisable } from '../../kernel/promisable.js';

/** What one of several gave: its reply, or why it was refused (clients-pki.md §4.2). */
export type Outcome<Reply> =
  | { readonly reply: Reply }
  | { readonly error: { readonly type: ErrorType; readonly message: string } };

/** One after the other, in their order. What is the server's own trouble, and not the item's, fails them all. */
export async function outcomesOf<Item, Reply>(
  items: readonly Item[],
  act: (item: Item) => Promisable<Reply>,
): Promise<Outcome<Reply>[]> {
  const outcomes: Outcome<Reply>[] = [];
  for (const item of items) {
    try {
      outcomes.push({ reply: await act(item) });
    } catch (error) {
      if (!isAppError(error) || error.status >= 500) throw error;
      outcomes.push({ error: { type: error.type, message: error.publicMessage } });
    }
  }
  return outcomes;
}

export function repliesOf<Reply>(outcomes: readonly Outcome<Reply>[]): Reply[] {
  return outcomes.flatMap((outcome) => ('reply' in outcome ? [outcome.reply] : []));
}
