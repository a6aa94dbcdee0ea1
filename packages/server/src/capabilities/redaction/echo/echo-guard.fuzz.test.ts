import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { Secret } from '../../../kernel/secret.js';
import { fuzz } from '../../../testing/fuzz.js';
import type { TextEncoding } from '../engine/byte-text.js';
import { EchoGuard } from './echo-guard.js';
import type { Syntax } from './number-track.js';

interface Sent {
  readonly values: readonly string[];
  readonly body: Buffer;
  readonly sizes: readonly number[];
  readonly syntax: Syntax;
  readonly encoding?: TextEncoding;
}

/** What the caller receives of a body that arrives in pieces of these sizes, the last of them the rest; none: as a whole. */
function received({ values, body, sizes, syntax, encoding = 'utf-8' }: Sent): Buffer {
  const guard = new EchoGuard(
    values.map((value, index) => ({ token: `tk_${index}`, value: new Secret(value), isGuarded: true })),
  );
  const scanner = guard.scanner(encoding, syntax);
  if (sizes.length === 0) return scanner.whole(body);
  const out: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, body.length]) {
    if (at < body.length) out.push(scanner.push(body.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat([...out, scanner.end()]);
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 200 });
/** Never a part of a value, so that what stands beside one cannot become one with it. */
const filler = fc.stringMatching(/^[;|<>^~]{1,6}$/);
const unit = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    '1',
    ' ',
    '+',
    '%',
    '%41',
    '"',
    '\\',
    '\\n',
    '/',
    '\n',
    '\r',
    '\t',
    '\b',
    '\f',
    'é',
    '😀',
    '{',
    ',',
  ),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const value = fc
  .array(unit, { minLength: 2, maxLength: 12 })
  .map((units) => units.join('').replaceAll(/[;|<>^~]/g, ''))
  .filter((text) => Buffer.byteLength(text) >= 6);
/** Decides which characters are escaped, and how. */
const choices = fc.array(fc.nat(5), { minLength: 1, maxLength: 30 });

type Write = (text: string, choose: (index: number) => number) => string;

const asIs: Write = (text) => text;

const inJson: Write = (text, choose) =>
  [...text]
    .map((character, index) => {
      const choice = choose(index);
      const units = Array.from({ length: character.length }, (_, i) =>
        character.charCodeAt(i).toString(16).padStart(4, '0'),
      );
      if (choice === 0) return units.map((hex) => `\\u${hex}`).join('');
      if (choice === 1) return units.map((hex) => `\\u${hex.toUpperCase()}`).join('');
      if (choice === 2 && character === '/') return '\\/';
      return JSON.stringify(character).slice(1, -1);
    })
    .join('');

const percentEncoded: Write = (text, choose) =>
  [...Buffer.from(text)]
    .map((byte, index) => {
      const [choice, character] = [choose(index), String.fromCharCode(byte)];
      const hex = byte.toString(16).padStart(2, '0');
      if (choice > 1 && /[A-Za-z0-9._-]/.test(character)) return character;
      if (choice > 3 && character === ' ') return '+';
      return choice === 0 ? `%${hex}` : `%${hex.toUpperCase()}`;
    })
    .join('');

/** As a URL writes it: a percent sign that begins no escape stays as it is. */
const strayPercents: Write = (text, choose) =>
  percentEncoded(text, choose).replaceAll(/%25(?!%?[0-9A-Fa-f])/g, '%');

interface Place {
  readonly write: Write;
  readonly syntaxes: readonly Syntax[];
  readonly bodyOf: (text: string) => string;
  /** As the reader of such a body understands it, by no code of the guard. */
  readonly read: (body: string) => string;
}

const PLACES: Record<string, Place> = {
  text: { write: asIs, syntaxes: ['none'], bodyOf: (text) => text, read: (body) => body },
  json: {
    write: inJson,
    syntaxes: ['json', 'unknown', 'none'],
    bodyOf: (text) => `{"${text}":["${text}",null]}`,
    read: (body) => {
      const [[key, items]] = Object.entries(JSON.parse(body) as object) as [[string, [string, null]]];
      expect(items).toEqual([key, null]);
      return key;
    },
  },
  percent: {
    write: percentEncoded,
    syntaxes: ['none', 'unknown'],
    bodyOf: (text) => text,
    read: (body) => decodeURIComponent(body.replaceAll('+', ' ')),
  },
  'percent with stray signs': {
    write: strayPercents,
    syntaxes: ['none', 'unknown'],
    bodyOf: (text) => text,
    read: (body) => new URLSearchParams(`read=${body}`).get('read')!,
  },
};

test.each(Object.entries(PLACES))('no value leaves in %s, however written and cut', (_, place) => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(filler, fc.nat(2), choices), { minLength: 1, maxLength: 6 }),
      filler,
      sizes,
      fc.constantFrom(...place.syntaxes),
      (values, plan, tail, lengths, syntax) => {
        const planted = plan.map(([before, which, chosen]) => {
          const text = place.write(values[which % values.length]!, (index) => chosen[index % chosen.length]!);
          return before + text;
        });
        const body = Buffer.from(place.bodyOf(planted.join('') + tail));
        const text = place.read(received({ values, body, sizes: lengths, syntax }).toString());
        // Which token it is where one value contains another, or may be read as another, is the unit tests' matter.
        const wanted = `${plan.map(([before]) => `${before}#`).join('')}${tail}`;
        expect(text.replaceAll(/tk_[0-2]|\[REDACTED\]/g, '#')).toBe(wanted);
      },
    ),
    fuzz(1000),
  );
});

test('a JSON number that contains a value is null, and the document stays JSON', () => {
  const digits = fc.stringMatching(/^[1-9][0-9]{5,15}$/);
  const around = fc.stringMatching(/^[1-9][0-9]{0,8}$/);
  fc.assert(
    fc.property(
      digits,
      around,
      around,
      sizes,
      fc.constantFrom<Syntax>('json', 'unknown'),
      (one, before, after, lengths, syntax) => {
        const body = Buffer.from(
          `{"a":${before}${one}${after},"b":[-${one}.5e3, 0.${one}],"c":"${one}","d":true}`,
        );
        const out = received({ values: [one], body, sizes: lengths, syntax }).toString();
        expect(JSON.parse(out)).toEqual({ a: null, b: [null, null], c: 'tk_0', d: true });
      },
    ),
    fuzz(500),
  );
});

test('any body is the same however it is cut, and nothing but the named error is thrown', () => {
  const half = fc.constantFrom('\\', '\\u', '\\u00', '\\u0061', '\\ud83d', '\\ude00', '%', '%4', '%C3', '"');
  const outcome = (sent: Sent) => {
    try {
      return received(sent).toString('latin1');
    } catch (error) {
      if (!(error instanceof AppError) || error.type !== 'redaction_failed') throw error;
      return error.type;
    }
  };
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 4 }),
      fc.array(
        fc.oneof(half, unit, fc.tuple(fc.nat(3), fc.nat(12), fc.nat(12)), fc.uint8Array({ maxLength: 3 })),
        { maxLength: 25 },
      ),
      sizes,
      fc.constantFrom<Syntax>('json', 'none', 'unknown'),
      fc.constantFrom<TextEncoding>('utf-8', 'single-byte'),
      (values, parts, lengths, syntax, encoding) => {
        const body = Buffer.concat(
          parts.map((part) => {
            if (typeof part === 'string') return Buffer.from(part);
            if (part instanceof Uint8Array) return Buffer.from(part);
            const [which, from, length] = part;
            return Buffer.from(values[which % values.length]!.slice(from % 3, from + length));
          }),
        );
        const sent = { values, body, syntax, encoding };
        expect(outcome({ ...sent, sizes: lengths })).toBe(outcome({ ...sent, sizes: [] }));
      },
    ),
    fuzz(2000),
  );
});
