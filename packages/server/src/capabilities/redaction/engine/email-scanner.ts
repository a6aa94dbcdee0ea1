import type { Report, Scanner } from './scanner.js';

/** RFC 5321 §4.5.3.1: a local part has at most 64 octets, a domain 255. */
const LOCAL_MAX = 64;
const DOMAIN_MAX = 255;

/** Internationalised labels are taken as they are; the last label is ASCII letters or punycode. */
const DOMAIN = /(?:[A-Za-z0-9\u0080-\uffff-]+\.)+(?:xn--[A-Za-z0-9-]+|[A-Za-z]{2,63})/y;

/** Mail addresses: found at the `@`, read backwards over the local part and forwards over the domain. */
export class EmailScanner implements Scanner {
  /** The end of the text so far that a match may begin in, and where it stands. */
  #tail = '';
  #tailStart = 0;
  #settled = 0;

  reset(): void {
    this.#tail = '';
    this.#tailStart = 0;
    this.#settled = 0;
  }

  feed(piece: string, report: Report): void {
    this.#scan(this.#tail + piece, false, report);
  }

  finish(report: Report): void {
    this.#scan(this.#tail, true, report);
  }

  settledBefore(): number {
    return this.#settled;
  }

  openSince(): number | null {
    return null;
  }

  #scan(text: string, ended: boolean, report: Report): void {
    const origin = this.#tailStart;
    for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
      const start = addressStart(text, at);
      if (start === at) continue;
      const domainEnd = runEnd(text, at + 1);
      if (domainEnd === text.length && domainEnd - at <= DOMAIN_MAX && !ended) {
        this.#keep(text, localStart(text, at), start);
        return;
      }
      DOMAIN.lastIndex = 0;
      const domain = DOMAIN.exec(text.slice(at + 1, domainEnd));
      if (domain) report('email', origin + start, origin + at + 1 + domain[0].length);
    }
    this.#keep(text, localStart(text, text.length), addressStart(text, text.length));
  }

  #keep(text: string, from: number, settled: number): void {
    this.#settled = this.#tailStart + settled;
    this.#tail = text.slice(from);
    this.#tailStart += from;
  }
}

function localStart(text: string, end: number): number {
  const bound = Math.max(0, end - LOCAL_MAX);
  let start = end;
  while (start > bound && isLocal(text.charCodeAt(start - 1))) start--;
  return start;
}

/** The local part begins with a letter, a digit or `_`: a quote or a dot before it is not part of the address. */
function addressStart(text: string, end: number): number {
  let start = localStart(text, end);
  while (start < end && !isWord(text.charCodeAt(start))) start++;
  return start;
}

function runEnd(text: string, from: number): number {
  const bound = Math.min(text.length, from + DOMAIN_MAX);
  let end = from;
  while (end < bound && isDomain(text.charCodeAt(end))) end++;
  return end;
}

function isWord(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f
  );
}

/** Beside letters, digits and `_`; the rest of RFC 5322's atext stands in URLs far more often than in addresses. */
const LOCAL_MARKS = new Set([...".%+'~-"].map((mark) => mark.charCodeAt(0)));

function isLocal(code: number): boolean {
  return isWord(code) || LOCAL_MARKS.has(code);
}

function isDomain(code: number): boolean {
  return (isWord(code) && code !== 0x5f) || code === 0x2e || code === 0x2d || code >= 0x80;
}
