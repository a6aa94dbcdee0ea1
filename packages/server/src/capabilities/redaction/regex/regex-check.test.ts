import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.js';
import { createRegexCheck } from './regex-check.js';

const check = createRegexCheck(systemClock);

describe('the check of expressions', () => {
  it('says of each what is wrong with it', async () => {
    const patterns = {
      'ACC-\\d{8}': null,
      '(': /RE2's syntax: missing closing \)/,
      'a{1001}': /invalid repeat count/,
      '(?i)secret[:=]\\s*(?P<value>\\S+)': null,
      'a++': /RE2's syntax/,
      '(?:(?:abcdefghijklm){30}){30}': /too large/,
      '\\Q(?=a)\\1\\E': null,
      'a*': /matches the empty text/,
    };
    const problems = await check(Object.keys(patterns));
    for (const [i, expected] of Object.values(patterns).entries()) {
      if (expected) expect(problems[i]).toMatch(expected);
      else expect(problems[i]).toBeNull();
    }
    expect(await check([])).toEqual([]);
  });

  it('gives 2 s to all of a request, and holds up nobody meanwhile', async () => {
    const slow = '(a{0,1000})'.repeat(45);
    let [longestMs, lastMs] = [0, performance.now()];
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 5);
    const problems = await check(['a', ...Array(50).fill(slow)]);
    clearInterval(timer);
    expect([problems[0], problems.at(-1)]).toEqual([null, expect.stringMatching(/takes too long/)]);
    expect(longestMs).toBeLessThan(500);
  });

  it('turns a crowd away', async () => {
    const all = await Promise.allSettled(Array.from({ length: 40 }, () => check(['a'])));
    const refused = all.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(7);
    expect(refused[0]).toMatchObject({ reason: { type: 'dependency_unavailable' } });
  }, 30_000);
});
