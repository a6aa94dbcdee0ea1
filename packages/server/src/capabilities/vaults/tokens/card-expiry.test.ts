import { describe, expect, it } from 'vitest';
import { firstNoticeAtMs, lastDayOf, noticeAt } from './card-expiry.js';

const at = (iso: string) => Date.parse(iso);

it.each([
  [{ month: 1, year: 2027 }, '2027-01-31'],
  [{ month: 2, year: 2027 }, '2027-02-28'],
  [{ month: 2, year: 2028 }, '2028-02-29'],
  [{ month: 2, year: 2100 }, '2100-02-28'],
  [{ month: 4, year: 2029 }, '2029-04-30'],
  [{ month: 12, year: 2029 }, '2029-12-31'],
  [{ month: 12, year: 9999 }, '9999-12-31'],
])('%j is good until the end of %s', (expiry, day) => {
  expect(lastDayOf(expiry)).toBe(day);
});

describe('notices of a card that ends on 2029-12-31', () => {
  const DAY = '2029-12-31';

  it.each([
    ['2026-01-15T09:30:00.000Z', '2029-11-01T00:00:00.000Z'],
    ['2029-10-31T23:59:59.999Z', '2029-11-01T00:00:00.000Z'],
    // On the day itself it is still 60 days.
    ['2029-11-01T23:59:59.999Z', '2029-11-01T00:00:00.000Z'],
    ['2029-11-02T00:00:00.000Z', '2029-12-01T00:00:00.000Z'],
    ['2029-12-01T23:59:59.999Z', '2029-12-01T00:00:00.000Z'],
  ])('a token made at %s is told of first at %s', (made, first) => {
    expect(firstNoticeAtMs(DAY, at(made))).toBe(at(first));
  });

  it.each(['2029-12-02T00:00:00.000Z', '2030-05-05T00:00:00.000Z'])('one made at %s never', (made) => {
    expect(firstNoticeAtMs(DAY, at(made))).toBeNull();
  });

  it('follow each other', () => {
    const first = at('2029-11-01T00:00:00.000Z');
    const second = at('2029-12-01T00:00:00.000Z');
    expect(noticeAt(DAY, first)).toEqual({ daysBefore: 60, nextAtMs: second });
    expect(noticeAt(DAY, second)).toEqual({ daysBefore: 30, nextAtMs: null });
    expect(() => noticeAt(DAY, first + 1)).toThrow();
  });
});
