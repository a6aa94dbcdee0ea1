import { Transform, type TransformCallback } from 'node:stream';
import { LIMITS } from '../../../kernel/limits.js';
import type { Secret } from '../../../kernel/secret.js';
import { bytesOf, type TextEncoding } from '../engine/byte-text.js';
import { EchoPatterns } from './echo-patterns.js';
import { EchoScanner, type EchoScannerOptions } from './echo-scanner.js';
import type { Syntax } from './number-track.js';

/** A value that was read for a call. */
export interface DetokenizedValue {
  readonly value: Secret<string>;
  /** As the caller's reference names it. */
  readonly token: string;
  /** False for the values of a vault whose guard is off. */
  readonly isGuarded: boolean;
}

type Searched = Pick<EchoScannerOptions, 'patterns' | 'tokens' | 'forms'>;

interface Guarded {
  readonly bytes: Buffer;
  readonly token: string;
}

/** Keeps the values of one call out of its answer: what comes back is the token again (dataplane §7). */
export class EchoGuard {
  readonly #values: readonly DetokenizedValue[];
  /** Values that are not looked for: too short to be told from other text, or of a vault that does not want it. */
  readonly notGuarded: number;
  readonly #searched = new Map<TextEncoding, Searched>();
  #guarded = 0;

  constructor(values: readonly DetokenizedValue[]) {
    this.#values = values.filter(isLookedFor);
    this.notGuarded = values.length - this.#values.length;
  }

  get isActive(): boolean {
    return this.#values.length > 0;
  }

  /** How often a token took the place of its value. */
  get guarded(): number {
    return this.#guarded;
  }

  scanner(encoding: TextEncoding, syntax: Syntax): EchoScanner {
    const { patterns, tokens, forms } = this.#searchedIn(encoding);
    return new EchoScanner({
      patterns,
      tokens,
      forms,
      encoding,
      syntax,
      onReplaced: () => {
        this.#guarded++;
      },
    });
  }

  /** Made once for the many headers of an answer: with long values it takes a while. */
  #searchedIn(encoding: TextEncoding): Searched {
    const known = this.#searched.get(encoding);
    if (known) return known;
    const values = this.#values.flatMap(({ value, token }): Guarded[] =>
      spellingsOf(value.reveal(), encoding).map((bytes) => ({ bytes, token })),
    );
    const hasSpace = this.#values.some(({ value }) => value.reveal().includes(' '));
    const searched: Searched = {
      patterns: new EchoPatterns(values.map(({ bytes }) => bytes)),
      tokens: values.map(({ token }) => token),
      forms: hasSpace ? ['json', 'percent', 'form'] : ['json', 'percent'],
    };
    this.#searched.set(encoding, searched);
    return searched;
  }
}

/** Percent-encoding is of UTF-8 in a text of any character set. */
function spellingsOf(value: string, encoding: TextEncoding): Buffer[] {
  const utf8 = Buffer.from(value, 'utf8');
  if (encoding === 'utf-8') return [utf8];
  const own = bytesOf(value, encoding);
  return own.equals(utf8) ? [own] : [own, utf8];
}

function isLookedFor({ value, isGuarded }: DetokenizedValue): boolean {
  return isGuarded && Buffer.byteLength(value.reveal()) >= LIMITS.echoValueBytesMin;
}

/** The guard as a part of a longer way. */
export class EchoTransform extends Transform {
  readonly #scanner: EchoScanner;

  constructor(scanner: EchoScanner) {
    super();
    this.#scanner = scanner;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      done(null, this.#scanner.push(chunk));
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#scanner.end());
  }
}
