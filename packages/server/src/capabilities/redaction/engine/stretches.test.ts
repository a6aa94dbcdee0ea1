import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { regex } from '../../../testing/redaction-rules.js';
import type { Find, RankedRule } from './rule.js';
import { Stretches } from './stretches.js';
import { TextRedactor } from './text-redactor.js';

const RULES: readonly RankedRule[] = Array.from({ length: 5 }, (_, rank) => ({
  rank,
  spec: regex(`r${rank}`, {
    replacement: `<${rank}>`,
    action: (['mask', 'partial_last4', 'remove'] as const)[rank % 3]!,
  }),
}));

interface Plain {
  readonly start: number;
  readonly end: number;
  /** Ranks. */
  readonly rules: readonly number[];
}

/** The same, by looking through all stretches for each find. */
function added(stretches: readonly Plain[], { start, end, rule }: Find): Plain[] {
  const overlapped = stretches.filter((other) => other.end > start && other.start < end);
  const one = {
    start: Math.min(start, ...overlapped.map((other) => other.start)),
    end: Math.max(end, ...overlapped.map((other) => other.end)),
    rules: [...new Set([rule.rank, ...overlapped.flatMap((other) => other.rules)])],
  };
  return [...stretches.filter((other) => !overlapped.includes(other)), one].sort((a, b) => a.start - b.start);
}

function taken(finds: readonly Find[]): Plain[] {
  const stretches = new Stretches();
  for (const { start, end, rule } of finds) stretches.add(start, end, rule);
  const out: Plain[] = [];
  for (let next = stretches.first; next; next = stretches.first) {
    out.push({ start: next.start, end: next.end, rules: next.rules.inOrder().map(({ rank }) => rank) });
    stretches.removeFirst();
  }
  return out;
}

const anyFind = (placeMax: number, lengthMax: number) =>
  fc
    .tuple(fc.nat(placeMax), fc.integer({ min: 1, max: lengthMax }), fc.constantFrom(...RULES))
    .map(([start, length, rule]): Find => ({ start, end: start + length, rule }));

describe('stretches', () => {
  it.each([
    ['few and close', 40, 8, 30, 3000],
    ['many and far apart', 9000, 3, 2000, 6],
    ['many, and some that take in many others', 20_000, 4000, 1500, 15],
  ])('are those of the plain way: %s', (_, placeMax, lengthMax, count, numRuns) => {
    const length = fc.oneof(
      { weight: 20, arbitrary: anyFind(placeMax, Math.min(3, lengthMax)) },
      anyFind(placeMax, lengthMax),
    );
    fc.assert(
      fc.property(
        fc.array(length, { minLength: count > 1000 ? count : 0, maxLength: count, size: 'max' }),
        (finds) => {
          expect(taken(finds)).toEqual(finds.reduce(added, [] as Plain[]));
        },
      ),
      { numRuns, seed: 11 },
    );
  });

  it('replace a text as those of the plain way', () => {
    fc.assert(
      fc.property(fc.array(anyFind(30, 10), { maxLength: 12 }), (finds) => {
        const text = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH';
        const told: number[] = [];
        const redactor = new TextRedactor(new Map(), ({ rank }) => told.push(rank));
        const stretches = finds.reduce(added, [] as Plain[]);
        let expected = '';
        let at = 0;
        for (const { start, end, rules } of stretches) {
          const { spec } = RULES[Math.min(...rules)]!;
          const shown = spec.action === 'partial_last4' && rules.length === 1 && end - start >= 8;
          expected += text.slice(at, start) + (spec.action === 'remove' ? '' : spec.replacement);
          if (shown) expected += text.slice(end - 4, end);
          at = end;
        }
        expect(redactor.whole(text, finds)).toBe(expected + text.slice(at));
        expect(told).toEqual(stretches.flatMap(({ rules }) => rules));
      }),
      { numRuns: 2000, seed: 12 },
    );
  });
});

describe('finds that come rule by rule take a time that grows with them, not with their square', () => {
  const count = 150_000;
  const [early, late] = [RULES[0]!, RULES[3]!];
  const finds = (rule: RankedRule, first: number, step: number, length: number): Find[] =>
    Array.from({ length: count }, (_, i) => ({
      rule,
      start: first + i * step,
      end: first + i * step + length,
    }));

  it('those of the second before those of the first', () => {
    const text = 'b'.repeat(count) + 'a'.repeat(count);
    const all = [...finds(early, count, 1, 1), ...finds(late, 0, 1, 1)];
    const out = new TextRedactor(new Map(), () => {}).whole(text, all);
    expect(out === late.spec.replacement.repeat(count) + early.spec.replacement.repeat(count)).toBe(true);
  });

  it('those of the second between those of the first', () => {
    const all = [...finds(early, 0, 2, 1), ...finds(late, 1, 2, 1)];
    const out = new TextRedactor(new Map(), () => {}).whole('ab'.repeat(count), all);
    expect(out === (early.spec.replacement + late.spec.replacement).repeat(count)).toBe(true);
  });

  it('those of the second each over two of the first', () => {
    const all = [...finds(early, 0, 2, 2), ...finds(late, 1, 2, 2)];
    expect(new TextRedactor(new Map(), () => {}).whole('ab'.repeat(count + 1), all)).toBe(
      `${early.spec.replacement}b`,
    );
  });

  it('the last first', () => {
    const all = finds(early, 0, 1, 1).reverse();
    const out = new TextRedactor(new Map(), () => {}).whole('a'.repeat(count), all);
    expect(out === early.spec.replacement.repeat(count)).toBe(true);
  });

  it('those of built-ins before all that regexes found', () => {
    const mail: RankedRule = { rank: 9, spec: regex('mail', { replacement: '<9>' }) };
    const mails = 'a@b.co '.repeat(100_000);
    const redactor = new TextRedactor(new Map([['email', mail]]), () => {});
    const out = redactor.whole(mails + 'a'.repeat(count), finds(early, mails.length, 1, 1));
    expect(out === '<9> '.repeat(100_000) + early.spec.replacement.repeat(count)).toBe(true);
  });

  it('and many rules for one long stretch', () => {
    const rules = Array.from({ length: 500 }, (_, rank) => ({ rank, spec: regex(`r${rank}`) }));
    const whole = rules.map((rule) => ({ rule, start: 0, end: 3 * count }));
    const bridges = finds(rules[499]!, 3 * count - 1, 3, 3);
    const all = [...whole, ...finds(rules[0]!, 3 * count + 1, 3, 2), ...bridges];
    expect(new TextRedactor(new Map(), () => {}).whole('abc'.repeat(2 * count + 1), all)).toMatch(
      /^\[REDACTED\]/,
    );
  });
});
