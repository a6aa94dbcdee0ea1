import { charactersOf, decodeText, findsInBytes, jsonEscape, type TextEncoding } from './byte-text.js';
import { isPan } from './digit-scanner.js';
import { prefilterFor } from './prefilter.js';
import { type Find, type RankedRule, replacementFor } from './rule.js';
import { type BuiltinRules, TextRedactor } from './text-redactor.js';

/** A longer string is read in pieces of this size, each a slice of its own. */
const LEAF_PIECE = 64 * 1024;

/** The inside of a JSON string as it stands in the document, in byte text. */
export interface RawString {
  readonly text: string;
  readonly escaped: boolean;
}

/** Strings, names and numbers of a JSON document: what rules make of one of them. */
export class JsonLeaves {
  readonly #builtins: BuiltinRules;
  readonly #encoding: TextEncoding;
  readonly #onRedacted: (rule: RankedRule) => void;
  readonly #prefilter: RegExp | null;
  /** Works on the document's own bytes where no escape stands between them and the characters. */
  readonly #inBytes: TextRedactor;
  readonly #inCharacters: TextRedactor;

  constructor(builtins: BuiltinRules, encoding: TextEncoding, onRedacted: (rule: RankedRule) => void) {
    this.#builtins = builtins;
    this.#encoding = encoding;
    this.#onRedacted = onRedacted;
    this.#prefilter = prefilterFor(builtins);
    this.#inBytes = new TextRedactor(builtins, onRedacted, jsonEscape);
    this.#inCharacters = new TextRedactor(builtins, onRedacted);
  }

  /** False when no built-in can find anything in the string; escapes may hide what is in it. */
  mayHold(raw: RawString): boolean {
    return this.#prefilter !== null && (raw.escaped || this.#prefilter.test(raw.text));
  }

  /** Yields between pieces of a long string; returns what stands in its place, `raw.text` itself when unchanged. */
  *redactString(raw: RawString, finds: readonly Find[]): Generator<void, string> {
    const text = raw.escaped ? this.decode(raw) : raw.text;
    const redactor = raw.escaped ? this.#inCharacters : this.#inBytes;
    redactor.reset();
    const found = raw.escaped ? finds : findsInBytes(finds, charactersOf(text, this.#encoding), text);
    for (const find of found) redactor.expect(find);
    let out = '';
    for (let at = 0; at < text.length; at += LEAF_PIECE) {
      out += redactor.push(text.slice(at, at + LEAF_PIECE));
      if (text.length > LEAF_PIECE) yield;
    }
    out += redactor.end();
    if (out === text) return raw.text;
    return raw.escaped ? jsonEscape(out) : out;
  }

  /** A number that is a card number becomes text. */
  redactNumber(raw: string): string {
    const pan = this.#builtins.get('pan');
    if (!pan || raw.length < 12) return raw;
    const digits = wholeNumber(raw);
    if (!isPan(digits)) return raw;
    this.#onRedacted(pan);
    return pan.spec.action === 'remove' ? 'null' : quoted(replacementFor(pan.spec, digits));
  }

  /** A string that a path names. */
  replaceString(rule: RankedRule, raw: RawString, finds: readonly Find[]): string {
    const text = this.decode(raw);
    // What a rule that decides earlier found must not be told by this one's last four characters.
    const partial = rule.spec.action === 'partial_last4' && !this.#findsEarlier(text, rule, finds);
    return quoted(replacementFor(partial ? rule.spec : { ...rule.spec, action: 'mask' }, text));
  }

  decode(raw: RawString): string {
    const text = decodeText(raw.text, this.#encoding);
    return raw.escaped ? (JSON.parse(`"${text}"`) as string) : text;
  }

  #findsEarlier(text: string, rule: RankedRule, finds: readonly Find[]): boolean {
    let earlier = finds.some((found) => found.rule.rank < rule.rank);
    const probe = new TextRedactor(this.#builtins, (found) => {
      earlier ||= found.rank < rule.rank;
    });
    probe.whole(text);
    return earlier;
  }
}

/** Containers, numbers and words that a path names. */
export function replaceOther(rule: RankedRule, numberText: string): string {
  return quoted(replacementFor(rule.spec, numberText));
}

function quoted(text: string): string {
  return `"${jsonEscape(text)}"`;
}

/** The digits of a JSON number without a fractional part (`4.1e3` is `4100`); else the empty text. */
function wholeNumber(raw: string): string {
  const parts = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(raw);
  if (!parts) return '';
  const fraction = withoutTrailingZeros(parts[2] ?? '');
  const zeros = Number(parts[3] ?? '0') - fraction.length;
  if (zeros < 0 || zeros > 19) return '';
  return (parts[1]! + fraction + '0'.repeat(zeros)).replace(/^0+/, '');
}

/** Not `/0+$/`, which takes time by the square of zeros that do not stand at the end. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}
