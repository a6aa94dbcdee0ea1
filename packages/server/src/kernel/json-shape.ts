import { LIMITS } from './limits.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;
/** What an unknown name costs, beside the value that it names. */
const NAME_WEIGHT = 4;

const TOO_DEEP = `is nested deeper than ${LIMITS.jsonDepthMax} levels`;
const TOO_MANY_VALUES = `holds more than ${LIMITS.jsonValuesMax} values, each member of an object counted as ${NAME_WEIGHT + 1}`;

export interface JsonShape {
  /** Members of objects as they are written: a colon outside strings stands behind each name and nowhere else. */
  readonly names: number;
}

/**
 * Counts levels and values of a JSON text outside its strings before anything is built from them; or the rule that it
 * breaks. Every value but the first stands behind a comma or an opening bracket, so that an empty list or object counts
 * twice at most. Of what is no JSON it says nothing.
 */
export function jsonShapeOf(text: string): JsonShape | string {
  let depth = 0;
  let values = 1;
  let names = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > LIMITS.jsonDepthMax) return TOO_DEEP;
        values++;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      case COMMA:
        values++;
        break;
      case COLON:
        names++;
        break;
    }
    if (values + NAME_WEIGHT * names > LIMITS.jsonValuesMax) return TOO_MANY_VALUES;
  }
  return { names };
}

/** Its closing quote, or the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); at < text.length && code !== QUOTE; code = text.charCodeAt(at))
    at += code === BACKSLASH ? 2 : 1;
  return at;
}
