/**
 * Cuts the SQL of a role into the tokens that decide where a `;` ends a statement and where a placeholder may stand
 * (contract dyn-db.md §3.2). It reads as the servers do with the settings of our sessions: postgres with
 * standard_conforming_strings on, mysql without ANSI_QUOTES and NO_BACKSLASH_ESCAPES. What server versions read
 * differently is refused, so that no value ever lands on the other side of a quote.
 */
export type Dialect = 'postgres' | 'mysql';

export type TokenKind =
  /** Words, operators and white space outside everything else. */
  | 'code'
  /** `'…'`; in mysql `"…"` too. */
  | 'string'
  /** `"…"`; in mysql `` `…` ``. */
  | 'identifier'
  /** postgres `$tag$…$tag$`. */
  | 'dollar'
  /** postgres `U&'…'` and `U&"…"`. */
  | 'unicode'
  | 'comment'
  | 'semicolon';

export interface Token {
  readonly kind: TokenKind;
  /** In the text; the tokens cover all of it without a gap. */
  readonly start: number;
  readonly end: number;
}

/** Why a text cannot be cut; quotes nothing of it. */
export class ScanProblem extends Error {
  override readonly name = 'ScanProblem';
}

export function scanSql(text: string, dialect: Dialect): readonly Token[] {
  return new Scanner(text, dialect).scan();
}

class Scanner {
  readonly #text: string;
  readonly #postgres: boolean;
  readonly #tokens: Token[] = [];
  #at = 0;
  #codeStart = 0;

  constructor(text: string, dialect: Dialect) {
    this.#text = text;
    this.#postgres = dialect === 'postgres';
  }

  scan(): readonly Token[] {
    while (this.#at < this.#text.length) this.#step();
    this.#endCode(this.#at);
    return this.#tokens;
  }

  #step(): void {
    const char = this.#text[this.#at]!;
    if (char === ';') this.#take('semicolon', this.#at + 1);
    else if (char === "'") this.#take('string', this.#afterQuoted(this.#at, !this.#postgres));
    else if (char === '"') this.#doubleQuoted();
    else if (char === '`' && !this.#postgres) this.#take('identifier', this.#afterQuoted(this.#at, false));
    else if (char === '$') this.#dollar();
    else if (this.#startsLineComment()) this.#take('comment', this.#afterLine());
    else if (this.#text.startsWith('/*', this.#at)) this.#take('comment', this.#afterBlockComment());
    else if (isDigit(char)) this.#number();
    else if (isWordStart(char)) this.#word();
    else this.#at += 1;
  }

  #doubleQuoted(): void {
    const end = this.#afterQuoted(this.#at, !this.#postgres);
    this.#take(this.#postgres ? 'identifier' : 'string', end);
  }

  #take(kind: TokenKind, end: number, start = this.#at): void {
    this.#endCode(start);
    this.#tokens.push({ kind, start, end });
    this.#at = end;
    this.#codeStart = end;
  }

  #endCode(end: number): void {
    if (end > this.#codeStart) this.#tokens.push({ kind: 'code', start: this.#codeStart, end });
  }

  /** A quote within is doubled, or escaped where backslashes escape. */
  #afterQuoted(open: number, backslashEscapes: boolean): number {
    const quote = this.#text[open]!;
    for (let at = open + 1; at < this.#text.length; at += 1) {
      if (backslashEscapes && this.#text[at] === '\\') at += 1;
      else if (this.#text[at] === quote) {
        if (this.#text[at + 1] !== quote) return at + 1;
        at += 1;
      }
    }
    throw new ScanProblem(`a quote (${quote}) is not closed`);
  }

  #startsLineComment(): boolean {
    if (this.#text[this.#at] === '#') return !this.#postgres;
    if (!this.#text.startsWith('--', this.#at)) return false;
    const next = this.#text[this.#at + 2];
    return this.#postgres || next === undefined || isSpace(next);
  }

  #afterLine(): number {
    let at = this.#at;
    while (at < this.#text.length && this.#text[at] !== '\n') {
      // postgres ends the comment here, mysql does not.
      if (this.#text[at] === '\r' && this.#text[at + 1] !== '\n') {
        throw new ScanProblem('a comment holds a carriage return without a line feed');
      }
      at += 1;
    }
    return at;
  }

  #afterBlockComment(): number {
    const third = this.#text[this.#at + 2];
    const runs = third === '!' || (third === 'M' && this.#text[this.#at + 3] === '!');
    if (!this.#postgres && runs) {
      throw new ScanProblem('a comment that the server runs (/*! or /*M!) is not supported');
    }
    let depth = 1;
    for (let at = this.#at + 2; at < this.#text.length; at += 1) {
      if (this.#text.startsWith('*/', at)) {
        depth -= 1;
        if (depth === 0) return at + 2;
        at += 1;
      } else if (this.#postgres && this.#text.startsWith('/*', at)) {
        depth += 1;
        at += 1;
      }
    }
    throw new ScanProblem('a comment (/*) is not closed');
  }

  /** At a `$` that belongs to no word. */
  #dollar(): void {
    let tagEnd = this.#at + 1;
    if (isWordStart(this.#text[tagEnd])) while (isTagPart(this.#text[tagEnd])) tagEnd += 1;
    if (this.#text[tagEnd] !== '$') {
      this.#at += 1;
      return;
    }
    if (!this.#postgres) throw new ScanProblem('dollar quotes are not supported for mysql');
    const tag = this.#text.slice(this.#at, tagEnd + 1);
    const close = this.#text.indexOf(tag, tagEnd + 1);
    if (close === -1) throw new ScanProblem('a dollar quote is not closed');
    this.#take('dollar', close + tag.length);
  }

  #number(): void {
    while (isWordPart(this.#text[this.#at]) && this.#text[this.#at] !== '$') this.#at += 1;
    const next = this.#text[this.#at] === '&' ? this.#text[this.#at + 1] : this.#text[this.#at];
    // `1E'…'`, `1U&'…'` and `1$a$…$a$` are cut in different places by different versions.
    if (next !== undefined && '\'"`$'.includes(next)) {
      throw new ScanProblem('a number needs a space between itself and a quote');
    }
  }

  /** A word that may turn out to be the prefix of a string. */
  #word(): void {
    const start = this.#at;
    while (isWordPart(this.#text[this.#at])) this.#at += 1;
    const word = this.#text.slice(start, this.#at).toLowerCase();
    const next = this.#text[this.#at];
    if (!this.#postgres) return;
    if (word === 'e' && next === "'") {
      this.#take('string', this.#afterQuoted(this.#at, true), start);
      this.#refuseContinuation();
    } else if (word === 'u' && next === '&' && '\'"'.includes(this.#text[this.#at + 1] ?? ' ')) {
      const end = this.#afterQuoted(this.#at + 1, false);
      this.#take('unicode', end, start);
      this.#refuseContinuation();
    }
  }

  /** postgres goes on with the same escapes where a string begins on a later line: `E'a' ⏎ 'b\'c'`. */
  #refuseContinuation(): void {
    let at = this.#at;
    for (;;) {
      while (isSpace(this.#text[at])) at += 1;
      if (!this.#text.startsWith('--', at)) break;
      while (at < this.#text.length && this.#text[at] !== '\n') at += 1;
    }
    if (this.#text[at] === "'") throw new ScanProblem("an E'' or U&'' string stands in one piece");
  }
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && ' \t\n\r\f\v'.includes(char);
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

/** As the servers do, every character beyond ASCII counts as a letter. */
function isWordStart(char: string | undefined): boolean {
  if (char === undefined) return false;
  const lower = char.toLowerCase();
  return (lower >= 'a' && lower <= 'z') || char === '_' || char >= '\u0080';
}

function isTagPart(char: string | undefined): boolean {
  return isWordStart(char) || isDigit(char);
}

export function isWordPart(char: string | undefined): boolean {
  return isTagPart(char) || char === '$';
}
