import { DigitScanner } from './digit-scanner.js';
import { EmailScanner } from './email-scanner.js';
import { KeyScanner } from './key-scanner.js';
import { type Find, type RankedRule, replacementFor } from './rule.js';
import type { Builtin, Report, Scanner } from './scanner.js';
import { type Stretch, Stretches } from './stretches.js';

export type BuiltinRules = ReadonlyMap<Builtin, RankedRule>;

/** What of a stretch is kept while its end is awaited: enough for `partial_last4`. */
const TAIL_KEPT = 64;

/** What is looked through at once: only so much text, and what is found in it, is held before it is released. */
const PIECE_MAX = 4096;

/**
 * Replaces what the built-in rules find in a text that arrives in pieces. Every rule sees the original text; stretches
 * that overlap are replaced as one, so that no rule's cut leaves a rest of another's find. Text is held back only
 * while a scanner is inside a partial match.
 */
export class TextRedactor {
  readonly #scanners: readonly Scanner[];
  readonly #report: Report;
  readonly #encode: (replacement: string) => string;
  readonly #onRedacted: (rule: RankedRule) => void;
  #held = '';
  #heldStart = 0;
  #position = 0;
  readonly #found = new Stretches();

  constructor(
    rules: BuiltinRules,
    onRedacted: (rule: RankedRule) => void,
    /** Writes a replacement in the form of the text around it. */
    encode: (replacement: string) => string = (replacement) => replacement,
  ) {
    this.#scanners = createScanners(rules);
    this.#report = (kind, start, end) => this.#found.add(start, end, rules.get(kind)!);
    this.#onRedacted = onRedacted;
    this.#encode = encode;
  }

  /** Takes what was found in the text by others; before the text that holds it is pushed. */
  expect({ rule, start, end }: Find): void {
    this.#found.add(start, end, rule);
  }

  /** Returns what can be said of the text so far. */
  push(text: string): string {
    let out = '';
    for (let at = 0; at < text.length; at += PIECE_MAX)
      out += this.#pushPiece(text.slice(at, at + PIECE_MAX));
    return out;
  }

  #pushPiece(piece: string): string {
    this.#held += piece;
    this.#position += piece.length;
    for (const scanner of this.#scanners) scanner.feed(piece, this.#report);
    const out = this.#release(this.#settled());
    this.#forgetCertain();
    return out;
  }

  /** Returns the rest and is ready for another text. */
  end(): string {
    for (const scanner of this.#scanners) scanner.finish(this.#report);
    const out = this.#release(this.#position);
    this.reset();
    return out;
  }

  whole(text: string, finds: readonly Find[] = []): string {
    for (const find of finds) this.expect(find);
    const head = this.push(text);
    return head + this.end();
  }

  reset(): void {
    for (const scanner of this.#scanners) scanner.reset();
    this.#held = '';
    this.#heldStart = 0;
    this.#position = 0;
    this.#found.clear();
  }

  #settled(): number {
    let settled = this.#position;
    for (const scanner of this.#scanners) settled = Math.min(settled, scanner.settledBefore());
    return settled;
  }

  #release(settled: number): string {
    let out = '';
    for (;;) {
      const next = this.#found.first;
      if (!next || next.start >= settled) return out + this.#take(settled);
      out += this.#take(next.start);
      if (next.end > settled) return out;
      this.#found.removeFirst();
      out += this.#replace(next, this.#take(next.end));
    }
  }

  #take(end: number): string {
    const length = Math.max(0, end - this.#heldStart);
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    this.#heldStart += length;
    return text;
  }

  #replace(stretch: Stretch, text: string): string {
    const rules = stretch.rules.inOrder();
    for (const rule of rules) this.#onRedacted(rule);
    const [first, ...others] = rules.sort((a, b) => a.rank - b.rank);
    const { spec } = first!;
    // What another rule found must not be told by this one's last four characters.
    const action = spec.action === 'partial_last4' && others.length > 0 ? 'mask' : spec.action;
    if (action !== 'partial_last4') return this.#encode(replacementFor({ ...spec, action }, text));
    const value = text.replace(/[^A-Za-z0-9]/g, '');
    return this.#encode(replacementFor(spec, value));
  }

  /** A stretch without bound (a key of a megabyte) is not held: it is sure to be replaced. */
  #forgetCertain(): void {
    if (this.#held.length <= 2 * TAIL_KEPT) return;
    const open = this.#scanners.map((scanner) => scanner.openSince()).find((start) => start !== null);
    if (open === undefined) return;
    const first = this.#found.first;
    const overlapped = first && first.start <= this.#heldStart && first.end > open;
    if (open > this.#heldStart && !overlapped) return;
    this.#heldStart = this.#position - TAIL_KEPT;
    this.#held = this.#held.slice(-TAIL_KEPT);
  }
}

function createScanners(rules: BuiltinRules): Scanner[] {
  const scanners: Scanner[] = [];
  const kinds = { pan: rules.has('pan'), ssn: rules.has('ssn') };
  if (kinds.pan || kinds.ssn) scanners.push(new DigitScanner(kinds));
  if (rules.has('email')) scanners.push(new EmailScanner());
  if (rules.has('key')) scanners.push(new KeyScanner());
  return scanners;
}
