import { validationError } from '../../kernel/errors.js';

export interface FeedCursors {
  /** Opaque to callers. */
  encode(position: number): string;
  /** Throws where the text is none of this feed's. */
  decode(cursor: string): number;
}

/** Cursors of a feed whose rows are numbered; `version` names feed and form, so that no cursor is taken for another's. */
export function feedCursors(version: 'a1' | 'l1'): FeedCursors {
  const form = new RegExp(`^${version}\\.([0-9]{1,16})$`);
  const encode = (position: number) => Buffer.from(`${version}.${position}`).toString('base64url');
  return {
    encode,
    decode(cursor) {
      const text = Buffer.from(cursor, 'base64url').toString('latin1');
      const position = Number(form.exec(text)?.[1] ?? Number.NaN);
      if (!Number.isSafeInteger(position) || encode(position) !== cursor)
        throw validationError('cursor', 'is not a cursor of this feed');
      return position;
    },
  };
}
