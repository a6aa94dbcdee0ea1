import { afterEach, describe, expect, it } from 'vitest';
import { KeyScanner } from './key-scanner.js';

const charCodeAt = String.prototype.charCodeAt;

/** How many characters of the text are read one by one. */
function charactersRead(text: string, pieceLength: number): number {
  const scanner = new KeyScanner();
  let read = 0;
  String.prototype.charCodeAt = function (this: string, index: number) {
    read++;
    return charCodeAt.call(this, index);
  };
  for (let at = 0; at < text.length; at += pieceLength)
    scanner.feed(text.slice(at, at + pieceLength), () => {});
  scanner.finish(() => {});
  String.prototype.charCodeAt = charCodeAt;
  return read;
}

afterEach(() => {
  String.prototype.charCodeAt = charCodeAt;
});

describe('KeyScanner', () => {
  it.each([
    ['beginnings of signed tokens', 'eyJ'],
    ['beginnings among dashes', 'eyJ-AKIA_AKE-glpat-kct_'],
    ['beginnings with a dot', `${'eyJ'.repeat(300)}.eyJ.`],
    ['keys of the longest kind', '_AKEabcdefgh'],
    ['a label of a private key', '-----BEGIN RSA '],
  ])('reads a text of %s a few times, not once for each', (_, part) => {
    const text = part.repeat(Math.ceil(100_000 / part.length));
    for (const pieceLength of [text.length, 4096, 7]) {
      expect(charactersRead(text, pieceLength)).toBeLessThan(5 * text.length);
    }
  });
});
