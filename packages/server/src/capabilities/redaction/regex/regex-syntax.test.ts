import { describe, expect, it } from 'vitest';
import { refuseConstructs } from './regex-syntax.js';

describe('refuseConstructs', () => {
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
    expect(() => refuseConstructs(pattern)).not.toThrow();
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
  ])('refuses %s', (pattern, message) => {
    expect(() => refuseConstructs(pattern)).toThrow(message);
  });
});
