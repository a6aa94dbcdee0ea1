import { feedCursors } from '../../platform/http/feed-cursor.js';

/** The position is the row's id. */
export const { encode: encodeCursor, decode: decodeCursor } = feedCursors('l1');
