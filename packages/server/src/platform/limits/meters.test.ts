import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LimitRule, meterOf } from './meters.js';

const START_MS = Date.UTC(2026, 0, 15, 9, 30);

function rule(kind: LimitRule['kind'], requests: number, windowSec: number): LimitRule {
  return { scope: 'key', kind, requests, windowSec };
}

describe('a bucket', () => {
  it('holds one window and refills continuously', () => {
    const meter = meterOf(rule('bucket', 60, 60), []);
    expect(meter.take(START_MS, 100)).toBe(60);
    expect([meter.remaining(START_MS), meter.retryAfterMs(START_MS)]).toEqual([0, 1_000]);
    expect(meter.resetAtMs(START_MS)).toBe(START_MS + 60_000);
    expect(meter.take(START_MS + 999, 1)).toBe(0);
    expect(meter.take(START_MS + 1_000, 2)).toBe(1);
    expect(meter.remaining(START_MS + 31_000)).toBe(30);
    meter.giveBack(START_MS + 31_000, 1);
    expect(meter.remaining(START_MS + 31_000)).toBe(31);
  });
});

describe('a sliding window', () => {
  it('is free again a window after its requests, not before', () => {
    const meter = meterOf(rule('sliding', 10, 1), []);
    expect(meter.take(START_MS, 10)).toBe(10);
    expect(meter.take(START_MS + 999, 1)).toBe(0);
    expect(meter.retryAfterMs(START_MS + 400)).toBe(600);
    expect(meter.take(START_MS + 1_000, 10)).toBe(10);
  });

  it('holds at most its limit in any window, and refuses at most a twentieth longer than need be', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 130 }), { maxLength: 400 }),
        fc.integer({ min: 1, max: 30 }),
        (gaps, requests) => {
          const meter = meterOf(rule('sliding', requests, 1), []);
          const admitted: number[] = [];
          let nowMs = START_MS;
          for (const gap of gaps) {
            nowMs += gap;
            const inWindow = admitted.filter((atMs) => atMs > nowMs - 1_000).length;
            const inLonger = admitted.filter((atMs) => atMs > nowMs - 1_050).length;
            const given = meter.take(nowMs, 1);
            if (given === 1) expect(inWindow).toBeLessThan(requests);
            else expect(inLonger).toBeGreaterThanOrEqual(requests);
            if (given === 1) admitted.push(nowMs);
          }
        },
      ),
    );
  });

  it('is given back where it was taken: what was taken later counts on for its window', () => {
    const meter = meterOf(rule('sliding', 10, 1), []);
    meter.take(START_MS, 4);
    meter.take(START_MS + 500, 6);
    meter.giveBack(START_MS + 600, 2, START_MS);
    expect([meter.remaining(START_MS + 600), meter.remaining(START_MS + 1_000)]).toEqual([2, 4]);
  });

  it('of a day is the day of UTC', () => {
    const meter = meterOf(rule('sliding', 2, 86_400), []);
    const midnightMs = Date.UTC(2026, 0, 16);
    expect(meter.take(midnightMs - 1, 3)).toBe(2);
    expect([meter.resetAtMs(midnightMs - 1), meter.retryAfterMs(midnightMs - 1)]).toEqual([midnightMs, 1]);
    expect(meter.take(midnightMs, 3)).toBe(2);
    meter.giveBack(midnightMs, 1);
    expect(meter.remaining(midnightMs)).toBe(1);
    meter.giveBack(midnightMs, 1, midnightMs - 1);
    expect(meter.remaining(midnightMs)).toBe(1);
    // A clock that is behind does not open yesterday again.
    expect(meter.take(midnightMs - 1, 2)).toBe(1);
  });
});

describe('every kind', () => {
  const kinds = [rule('bucket', 7, 60), rule('sliding', 7, 60), rule('sliding', 7, 86_400)];

  it.each(kinds)('goes on from its state: $kind of $windowSec s', (limit) => {
    const meter = meterOf(limit, []);
    meter.take(START_MS, 3);
    meter.take(START_MS + 20_000, 2);
    const copy = meterOf(limit, JSON.parse(JSON.stringify(meter.state())));
    for (const ms of [20_001, 59_000, 60_000, 79_999, 80_001])
      expect(copy.remaining(START_MS + ms)).toBe(meter.remaining(START_MS + ms));
  });

  it.each(kinds)('with a limit of nothing never admits: $kind of $windowSec s', (limit) => {
    const meter = meterOf({ ...limit, requests: 0 }, []);
    expect([meter.take(START_MS, 1), meter.remaining(START_MS)]).toEqual([0, 0]);
    expect(meter.retryAfterMs(START_MS)).toBeGreaterThan(0);
  });
});
