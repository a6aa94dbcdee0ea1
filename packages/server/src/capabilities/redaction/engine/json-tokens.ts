import { MalformedJson } from './malformed-json.js';

const PLAIN = /[^"\\\0-\x1f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

export function skipSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
  }
  return at;
}

/** `from` stands after the opening quote; `end` is where the closing one stands. */
export function readStringEnd(text: string, from: number): { end: number; escaped: boolean } {
  let at = from;
  let escaped = false;
  for (;;) {
    at = match(PLAIN, text, at);
    if (text.charCodeAt(at) === 0x22) return { end: at, escaped };
    at = match(ESCAPE, text, at);
    escaped = true;
  }
}

export function readNumber(text: string, from: number): number {
  return match(NUMBER, text, from);
}

export function readWord(text: string, from: number): number {
  return match(WORD, text, from);
}

function match(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  if (!pattern.test(text)) throw new MalformedJson(from);
  return pattern.lastIndex;
}
