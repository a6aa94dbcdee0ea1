import { describe, expect, it } from 'vitest';
import { literalStart, startsOf, subjectMatches } from './subject-pattern.js';

describe('a subject', () => {
  it.each([
    ['repo:acme/shop:ref:refs/heads/main', 'repo:acme/shop:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/shop:ref:refs/heads/main'],
    ['repo:acme/shop-*:ref:refs/heads/main', 'repo:acme/shop-a-b:ref:refs/heads/main'],
    ['repo:acme/*-shop:pull_request', 'repo:acme/a-shop-shop:pull_request'],
    ['*:*', 'a:b'],
    ['a*b*c', 'abbbcbc'],
    ['a*', 'a'],
    ['a**b', 'ab'],
  ])('%s takes %s', (pattern, subject) => {
    expect(subjectMatches(pattern, subject)).toBe(true);
  });

  it.each([
    // A star stays in its segment.
    ['repo:acme/*', 'repo:acme/shop:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/shop/x:ref:refs/heads/main'],
    ['repo:acme/*:ref:refs/heads/*', 'repo:acme/shop:ref:refs/heads/feature/x'],
    ['*', 'a:b'],
    ['a:*', 'a/b'],
    // Not more, not less, not another case.
    ['repo:acme/shop', 'repo:acme/shop2'],
    ['repo:acme/shop', 'Repo:acme/shop'],
    ['repo:acme/*shop', 'repo:acme/shop2'],
    ['ab*ba', 'aba'],
    ['a*b*c', 'acb'],
    // Nothing but the star has a meaning.
    ['repo:acme/.hop', 'repo:acme/shop'],
    ['repo:acme/shop?*', 'repo:acme/shopp'],
    ['repo:acme/\\*', 'repo:acme/*'],
  ])('%s does not take %s', (pattern, subject) => {
    expect(subjectMatches(pattern, subject)).toBe(false);
  });

  it('many stars before much text cost no trying', () => {
    const pattern = `${'*a'.repeat(8)}b`;
    expect(subjectMatches(pattern, 'a'.repeat(500_000))).toBe(false);
  });

  it('is found by the text before the segment of the first star', () => {
    expect(literalStart('repo:acme/shop-*:ref:*')).toBe('repo:acme/');
    expect(literalStart('*:x')).toBe('');
    expect(startsOf('repo:acme/shop')).toEqual(['', 'repo:', 'repo:acme/']);
  });
});
