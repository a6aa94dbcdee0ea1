import { LIMITS } from '../../kernel/limits.js';
import type { Secret } from '../../kernel/secret.js';
import { PORTABLE_PREFIX, type Portable } from '../crypto-keys/index.js';
import type { SecretReference } from '../secrets/index.js';
import { type EncryptedDocument, readPath } from './encrypted.js';
import {
  readsTooMuch,
  templateError,
  tooManyPortables,
  tooManySecrets,
  tooManyTokens,
  unknownVariable,
} from './errors.js';

/** Which expressions are ours: of ephemeral calls (§2.1), of the bodies of route calls, of what routes inject (§2.2). */
export type Dialect = 'ephemeral' | 'route' | 'injected';

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();

/**
 * Every token operand of one call in order of appearance, body and query counted together (dataplane §2.1).
 * A template keeps the index of each, so that the values come back as one list.
 */
export class Operands {
  readonly list: string[] = [];
  /** JSON texts that are to be sealed. */
  readonly seals: string[] = [];
  /** Ciphertexts that are to be opened. */
  readonly opens: Portable[] = [];
  /** Secrets that are named, one an occurrence. */
  readonly secrets: SecretReference[] = [];
  /** What a piece's number stands for, in order of appearance. */
  readonly slots: Slot[] = [];

  readonly #document: EncryptedDocument | null;
  readonly #variables: ReadonlyMap<string, string>;
  #charactersRead = 0;

  constructor(
    document: EncryptedDocument | null = null,
    readonly dialect: Dialect = 'ephemeral',
    variables: ReadonlyMap<string, string> = NO_VARIABLES,
  ) {
    this.#document = document;
    this.#variables = variables;
  }

  add(operand: string): number {
    if (this.list.length === LIMITS.tokenReferencesMax) throw tooManyTokens();
    return this.#slot('tokens', this.list.push(operand));
  }

  secret(reference: SecretReference): number {
    if (this.secrets.length === LIMITS.secretReferencesMax) throw tooManySecrets();
    return this.#slot('secrets', this.secrets.push(reference));
  }

  seal(text: string): number {
    this.#refuseMorePortables();
    return this.#slot('sealed', this.seals.push(text));
  }

  open(portable: Portable): number {
    this.#refuseMorePortables();
    return this.#slot('opened', this.opens.push(portable));
  }

  /** What stands at a path of the document; each of a short expression may be as long as the whole of it. */
  read(path: string): string {
    const text = readPath(this.#document, path);
    this.#charactersRead += text.length;
    if (this.#charactersRead > LIMITS.templatedBodyBytesMax) throw readsTooMuch();
    return text;
  }

  /** What a variable of the environment stands for: plain text, and looked at no more. */
  variable(key: string): string {
    const text = this.#variables.get(key);
    if (text === undefined) throw unknownVariable(key);
    this.#charactersRead += text.length;
    if (this.#charactersRead > LIMITS.templatedBodyBytesMax) throw readsTooMuch();
    return text;
  }

  #slot(of: Slot['of'], count: number): number {
    return this.slots.push({ of, index: count - 1 }) - 1;
  }

  #refuseMorePortables(): void {
    if (this.seals.length + this.opens.length === LIMITS.portablesMax) throw tooManyPortables();
  }
}

interface Slot {
  readonly of: 'tokens' | 'sealed' | 'opened' | 'secrets';
  readonly index: number;
}

/** Literal text, or the number of a slot. */
export type Pieces = readonly (string | number)[];

const OPERAND_CHARACTERS_MAX = 1024;
/** A ciphertext of a dual-custody vault is as long as its value. */
const PORTABLE_CHARACTERS_MAX = 2 * LIMITS.vaultValueBytesMax;
/** No token holds a control character or half a surrogate pair, and the database takes neither. */
const UNUSABLE = /[\u0000-\u001f\u007f]|\p{Cs}/u;

type Keyword = 'token' | 'encrypted' | 'secret' | 'secret_id' | 'var';

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
function openingAt(text: string, braces: number, dialect: Dialect): Opening | null {
  const at = skipSpace(text, braces + 2);
  switch (text[at]) {
    case 't':
      return dialect === 'ephemeral' ? opening(text, at, 'token', 'token', ':') : null;
    case 'e':
      return dialect === 'ephemeral' ? opening(text, at, 'encrypted', 'encrypted', '|') : null;
    case 'v':
      return dialect === 'route' ? opening(text, at, 'var', 'var', ':') : null;
    case 's':
      return opening(text, at, 'secret', 'secret', ':') ?? opening(text, at, 'secret_id', 'secret_id', ':');
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
function operandAt(
  text: string,
  from: number,
  what: 'token' | 'secret' | 'var',
): { operand: string; end: number } {
  let at = skipSpace(text, from);
  const quote = text[at];
  let operand: string;
  if (quote === '"' || quote === "'") {
    const close = text.indexOf(quote, at + 1);
    if (close === -1) throw templateError(`A ${what} expression has a quote that is not closed`);
    operand = text.slice(at + 1, close);
    at = close + 1;
  } else {
    const end = operandEnd(text, at);
    operand = text.slice(at, end);
    at = end;
  }
  at = skipSpace(text, at);
  if (!text.startsWith('}}', at)) throw templateError(`A ${what} expression is not closed by }}`);
  if (operand === '') throw templateError(`A ${what} expression names no ${what}`);
  const mayBeLong = what === 'token' && operand.includes(PORTABLE_PREFIX);
  const charactersMax = mayBeLong ? PORTABLE_CHARACTERS_MAX : OPERAND_CHARACTERS_MAX;
  if (operand.length > charactersMax) throw templateError(`A ${what} expression is too long`);
  if (UNUSABLE.test(operand))
    throw templateError(`A ${what} expression holds a character that no ${what} has`);
  return { operand, end: at + 2 };
}

/** One quoted text, or bare up to what ends it. Returns it and where the text goes on. */
function textAt(text: string, from: number, bareEnd: (at: number) => number): { part: string; end: number } {
  const quote = text[from];
  if (quote !== '"' && quote !== "'") {
    const end = bareEnd(from);
    const part = text.slice(from, end).trimEnd();
    if (part === '') throw templateError('An encrypted expression is key:value or a $ path');
    return { part, end };
  }
  const close = text.indexOf(quote, from + 1);
  if (close === -1) throw templateError('An encrypted expression has a quote that is not closed');
  return { part: text.slice(from + 1, close), end: close + 1 };
}

/** `ws json ws : ws ( $path | key : value ) ws }}`. Returns the piece and where the text goes on. */
function encryptedAt(
  text: string,
  from: number,
  operands: Operands,
): { piece: string | number; end: number } {
  let at = skipSpace(text, from);
  const isJson = text.startsWith('json', at);
  at = skipSpace(text, at + 4);
  if (!isJson || text[at] !== ':') throw templateError('An encrypted expression goes on with json:');
  at = skipSpace(text, at + 1);
  const closing = text.indexOf('}}', at);
  if (closing === -1) throw templateError('An encrypted expression is not closed by }}');
  if (text[at] === '$') {
    const path = text.slice(at, closing).trimEnd();
    return { piece: operands.read(path), end: closing + 2 };
  }
  const key = textAt(text, at, () => {
    const colon = text.indexOf(':', at);
    return colon === -1 || colon > closing ? closing : colon;
  });
  at = skipSpace(text, key.end);
  if (key.part === '' || text[at] !== ':')
    throw templateError('An encrypted expression is key:value or a $ path');
  at = skipSpace(text, at + 1);
  const value = textAt(text, at, (start) => Math.max(start, text.indexOf('}}', start)));
  at = skipSpace(text, value.end);
  if (!text.startsWith('}}', at)) throw templateError('An encrypted expression is not closed by }}');
  if (UNUSABLE.test(key.part) || UNUSABLE.test(value.part)) {
    throw templateError('An encrypted expression holds a control character');
  }
  return { piece: operands.seal(JSON.stringify({ [key.part]: value.part })), end: at + 2 };
}

/** What stands for an expression, and where the text goes on. */
function pieceAt(
  text: string,
  { keyword, end: from }: Opening,
  operands: Operands,
): { piece: string | number; end: number } {
  if (keyword === 'encrypted') return encryptedAt(text, from, operands);
  const { operand, end } = operandAt(text, from, keyword === 'secret_id' ? 'secret' : keyword);
  if (keyword === 'var') return { piece: operands.variable(operand), end };
  if (keyword === 'token') return { piece: operands.add(operand), end };
  const by = keyword === 'secret_id' ? 'id' : 'name';
  return { piece: operands.secret({ by, text: operand }), end };
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
    const found = openingAt(text, braces, operands.dialect);
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
    const { piece, end } = pieceAt(text, found, operands);
    pieces.push(text.slice(literalFrom, braces), piece);
    literalFrom = end;
    braces = text.indexOf('{{', end);
  }
  if (literalFrom === 0 && pieces.length === 0) return null;
  pieces.push(text.slice(literalFrom));
  return pieces;
}

/** Whether one of our expressions opens anywhere, escaped or not. */
export function holdsExpression(text: string, dialect: Dialect = 'ephemeral'): boolean {
  for (let at = text.indexOf('{{'); at !== -1; at = text.indexOf('{{', at + 1)) {
    if (openingAt(text, at, dialect) !== null) return true;
  }
  return false;
}

/** One pass: what a value brings with it is never looked at again. */
export function renderPieces(pieces: Pieces, values: readonly Secret<string>[]): string {
  let text = '';
  for (const piece of pieces) text += typeof piece === 'string' ? piece : values[piece]!.reveal();
  return text;
}
