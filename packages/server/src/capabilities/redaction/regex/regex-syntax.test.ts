import { describe, expect, it } from 'vitest';
import { checkRegex } from './regex-syntax.js';

describe('checkRegex', () => {
  it.each([
    'ACC-\\d{8}',
    '(?i)secret[:=]\\s*(?P<value>\\S+)',
    '[(?=]x',
    '[]\\1(?!]x'.replace('\\1', ''),
    '\\(?=x',
    '\\Q(?=a)\\1\\E',
    '\\\\1',
    '(?:x{1000})',
    '\\p{Lu}+',
  ])('takes %s', (pattern) => {
    expect(() => checkRegex(pattern)).not.toThrow();
  });

  it.each([
    ['a(?=b)', /lookahead .* is not available/],
    ['a(?!b)', /lookahead/],
    ['(?<=a)b', /lookbehind/],
    ['(?<!a)b', /lookbehind/],
    ['(a)\\1', /a backreference \(\\1\)/],
    ['(?P<n>a)(?P=n)', /a backreference by name/],
    ['(?<n>a)\\k<n>', /a backreference by name/],
    ['[\\]](a)\\2', /a backreference/],
    ['(?>a)b', /an atomic group/],
    ['a(?R)?b', /recursion/],
    ['(a)?(?(1)b|c)', /a condition/],
    ['(?#x)a', /a comment/],
    ['(', /RE2's syntax: missing closing \)/],
    ['a{1001}', /invalid repeat count/],
    ['a++', /RE2's syntax/],
    ['(?:(?:abcdefghijklm){30}){30}', /too large/],
    ['a*', /matches the empty text/],
  ])('refuses %s', (pattern, message) => {
    expect(() => checkRegex(pattern)).toThrow(message);
  });
});
