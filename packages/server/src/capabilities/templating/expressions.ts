import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { templateError, tooManyTokens } from './errors.js';

/**
 * Every token operand of one call in order of appearance, body and query counted together (dataplane §2.1).
 * A template keeps the index of each, so that the values come back as one list.
 */
export class Operands {
  readonly list: string[] = [];

  add(operand: string): number {
    if (this.list.length === LIMITS.tokenReferencesMax) throw tooManyTokens();
    return this.list.push(operand) - 1;
  }
}

/** Literal text, or the index of an operand. */
export type Pieces = readonly (string | number)[];

const OPERAND_CHARACTERS_MAX = 1024;
/** No token holds a control character or half a surrogate pair, and the database takes neither. */
const UNUSABLE = /[\u0000-\u001f\u007f]|\p{Cs}/u;

type Keyword = 'token' | 'encrypted' | 'secret';

interface Opening {
  readonly keyword: Keyword;
  /** Just behind the delimiter. */
  readonly end: number;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function opening(
  text: string,
  from: number,
  word: string,
  keyword: Keyword,
  delimiter: string,
): Opening | null {
  if (!text.startsWith(word, from)) return null;
  const at = skipSpace(text, from + word.length);
  return text[at] === delimiter ? { keyword, end: at + 1 } : null;
}

/** Tells one of our expressions from the braces of Handlebars, Liquid and their like, which pass through. */
function openingAt(text: string, braces: number): Opening | null {
  const at = skipSpace(text, braces + 2);
  switch (text[at]) {
    case 't':
      return opening(text, at, 'token', 'token', ':');
    case 'e':
      return opening(text, at, 'encrypted', 'encrypted', '|');
    case 's':
      return opening(text, at, 'secret', 'secret', ':') ?? opening(text, at, 'secret_id', 'secret', ':');
    default:
      return null;
  }
}

function operandEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isSpace(text.charCodeAt(at)) && !text.startsWith('}}', at)) at += 1;
  return at;
}

/** `ws operand ws }}`, the operand bare or in one pair of quotes. Returns it and where the text goes on. */
function operandAt(text: string, from: number): { operand: string; end: number } {
  let at = skipSpace(text, from);
  const quote = text[at];
  let operand: string;
  if (quote === '"' || quote === "'") {
    const close = text.indexOf(quote, at + 1);
    if (close === -1) throw templateError('A token expression has a quote that is not closed');
    operand = text.slice(at + 1, close);
    at = close + 1;
  } else {
    const end = operandEnd(text, at);
    operand = text.slice(at, end);
    at = end;
  }
  at = skipSpace(text, at);
  if (!text.startsWith('}}', at)) throw templateError('A token expression is not closed by }}');
  if (operand === '') throw templateError('A token expression names no token');
  if (operand.length > OPERAND_CHARACTERS_MAX) throw templateError('A token expression is too long');
  if (UNUSABLE.test(operand)) throw templateError('A token expression holds a character that no token has');
  return { operand, end: at + 2 };
}

/**
 * Reads the expressions of a text in one pass, so that time grows with its length whatever it holds.
 * Null = rendering would leave the text as it is.
 */
export function parseText(text: string, operands: Operands): Pieces | null {
  let braces = text.indexOf('{{');
  if (braces === -1) return null;
  const pieces: (string | number)[] = [];
  let literalFrom = 0;
  while (braces !== -1) {
    const found = openingAt(text, braces);
    if (found === null) {
      braces = text.indexOf('{{', braces + 1);
      continue;
    }
    if (text[braces - 1] === '\\' && braces > literalFrom) {
      pieces.push(text.slice(literalFrom, braces - 1));
      literalFrom = braces;
      braces = text.indexOf('{{', found.end);
      continue;
    }
    if (found.keyword === 'encrypted') throw templateError('encrypted expressions are not supported yet');
    if (found.keyword === 'secret') throw templateError('secret placeholders are not supported here yet');
    const { operand, end } = operandAt(text, found.end);
    pieces.push(text.slice(literalFrom, braces), operands.add(operand));
    literalFrom = end;
    braces = text.indexOf('{{', end);
  }
  if (literalFrom === 0 && pieces.length === 0) return null;
  pieces.push(text.slice(literalFrom));
  return pieces;
}

/** Whether one of our expressions opens anywhere, escaped or not. */
export function holdsExpression(text: string): boolean {
  for (let at = text.indexOf('{{'); at !== -1; at = text.indexOf('{{', at + 1)) {
    if (openingAt(text, at) !== null) return true;
  }
  return false;
}

/** One pass: what a value brings with it is never looked at again. */
export function renderPieces(pieces: Pieces, values: readonly Secret<string>[]): string {
  let text = '';
  for (const piece of pieces) text += typeof piece === 'string' ? piece : values[piece]!.reveal();
  return text;
}
