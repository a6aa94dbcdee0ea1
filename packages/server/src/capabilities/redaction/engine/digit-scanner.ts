import { luhnSum } from '../../../kernel/luhn.js';
import type { Report, Scanner } from './scanner.js';

const PAN_DIGITS_MIN = 12;
const PAN_DIGITS_MAX = 19;
/** A card written in groups has at least this many digits in each group but the last. */
const GROUP_DIGITS_MIN = 3;
const SPACE = 0x20;
const DASH = 0x2d;
const POINT = 0x2e;

interface Group {
  readonly start: number;
  /** The separator that joins it to the group before; 0 = it begins a chain. */
  readonly separator: number;
  /** The digits after a decimal point (`0.4111…`) are no number of their own. */
  readonly isFraction: boolean;
  digits: string;
  length: number;
}

/** Card numbers and social security numbers: digit groups, alone or joined by one kind of single separator. */
export class DigitScanner implements Scanner {
  readonly #pan: boolean;
  readonly #ssn: boolean;
  #position = 0;
  #chain: Group[] = [];
  #inGroup = false;
  #separator = 0;
  #before = 0;
  #beforeThat = 0;

  constructor(kinds: { pan: boolean; ssn: boolean }) {
    this.#pan = kinds.pan;
    this.#ssn = kinds.ssn;
  }

  reset(): void {
    this.#position = 0;
    this.#chain = [];
    this.#inGroup = false;
    this.#separator = 0;
    this.#before = 0;
    this.#beforeThat = 0;
  }

  feed(piece: string, report: Report): void {
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i);
      if (isDigit(code)) this.#digit(piece, i);
      else if (this.#inGroup || this.#chain.length > 0) this.#other(code, this.#position + i, report);
      this.#beforeThat = this.#before;
      this.#before = code;
    }
    this.#position += piece.length;
  }

  finish(report: Report): void {
    if (this.#inGroup) this.#closeGroup(this.#position, report);
    this.#breakChain();
  }

  openSince(): number | null {
    return null;
  }

  settledBefore(): number {
    let settled = this.#position;
    let digits = 0;
    for (let at = this.#chain.length - 1; at >= 0; at--) {
      const group = this.#chain[at]!;
      digits += group.length;
      if (digits > PAN_DIGITS_MAX) break;
      if (this.#couldStart(at)) settled = group.start;
    }
    return settled;
  }

  /** Whether a number that starts with this group may still be completed by text to come. */
  #couldStart(first: number): boolean {
    const group = this.#chain[first]!;
    const separator = this.#chain[first + 1]?.separator ?? this.#separator;
    const closedGroups = this.#chain.length - (this.#inGroup ? 1 : 0);
    let panPossible = this.#pan && !group.isFraction;
    for (let at = first; at < closedGroups; at++) {
      if (this.#chain[at]!.length < GROUP_DIGITS_MIN) panPossible = false;
      const next = this.#chain[at + 1]?.separator ?? this.#separator;
      if (next !== separator) return false;
    }
    if (panPossible) return true;
    const groups = this.#chain.length - first;
    return (
      this.#ssn && (groups > 1 || !this.#inGroup ? group.length === 3 : group.length <= 3) && groups <= 3
    );
  }

  #digit(piece: string, index: number): void {
    const last = this.#chain[this.#chain.length - 1];
    if (this.#inGroup && last) {
      last.length++;
      if (last.digits.length <= PAN_DIGITS_MAX) last.digits += piece[index];
      return;
    }
    if (this.#separator === 0) this.#chain = [];
    this.#chain.push({
      start: this.#position + index,
      separator: this.#separator,
      isFraction: this.#before === POINT && isDigit(this.#beforeThat),
      digits: piece[index]!,
      length: 1,
    });
    // No number has more groups than this, so older ones cannot matter.
    if (this.#chain.length > PAN_DIGITS_MAX) this.#chain.shift();
    this.#inGroup = true;
    this.#separator = 0;
  }

  #other(code: number, position: number, report: Report): void {
    if (this.#inGroup) {
      this.#closeGroup(position, report);
      if (code === SPACE || code === DASH) this.#separator = code;
      else this.#breakChain();
    } else {
      this.#breakChain();
    }
  }

  #breakChain(): void {
    this.#chain = [];
    this.#separator = 0;
    this.#inGroup = false;
  }

  #closeGroup(end: number, report: Report): void {
    this.#inGroup = false;
    if (this.#pan) this.#reportPans(end, report);
    if (this.#ssn) this.#reportSsn(end, report);
  }

  #reportPans(end: number, report: Report): void {
    const last = this.#chain.length - 1;
    const separator = this.#chain[last]!.separator;
    let digits = '';
    for (let at = last; at >= 0; at--) {
      const group = this.#chain[at]!;
      const joins =
        at === last || (group.length >= GROUP_DIGITS_MIN && this.#chain[at + 1]!.separator === separator);
      if (!joins || group.length + digits.length > PAN_DIGITS_MAX) return;
      digits = group.digits + digits;
      if (!group.isFraction && isPan(digits)) report('pan', group.start, end);
    }
  }

  #reportSsn(end: number, report: Report): void {
    const [area, pair, serial] = this.#chain.slice(-3);
    if (!area || !pair || !serial || pair.separator !== serial.separator) return;
    if (area.length !== 3 || pair.length !== 2 || serial.length !== 4) return;
    if (isSsn(area.digits, pair.digits, serial.digits)) report('ssn', area.start, end);
  }
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/**
 * 12 to 19 digits with a valid check digit. ISO/IEC 7812 gives no payment network a leading 0, and a leading 1 only
 * to the 15 digits of UATP: so most times in milliseconds, microseconds and nanoseconds are not taken for cards.
 */
export function isPan(digits: string): boolean {
  if (digits.length < PAN_DIGITS_MIN || digits.length > PAN_DIGITS_MAX) return false;
  if (digits[0] === '0' || (digits[0] === '1' && digits.length !== 15)) return false;
  return luhnSum(digits) % 10 === 0;
}

/**
 * Numbers that are issued: SSNs, and the ITINs of the area 9xx. The rest of 9xx is where vault tokens of the format
 * `ssn` live (dataplane §6.2), which need no redaction.
 */
function isSsn(area: string, pair: string, serial: string): boolean {
  if (area === '000' || area === '666' || pair === '00' || serial === '0000') return false;
  if (area[0] !== '9') return true;
  const middle = Number(pair);
  return (middle >= 50 && middle <= 65) || (middle >= 70 && middle <= 99 && middle !== 89 && middle !== 93);
}
