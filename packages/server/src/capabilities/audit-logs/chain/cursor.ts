import { feedCursors } from '../../../platform/http/feed-cursor.js';

/** The position is the place in the tenant's chain. */
export const { encode: encodeCursor, decode: decodeCursor } = feedCursors('a1');
