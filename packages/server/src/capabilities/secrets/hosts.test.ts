import { describe, expect, it } from 'vitest';
import { coversHost, isWider } from './hosts.js';

describe('a wider list', () => {
  it.each<[readonly string[] | null, readonly string[] | null, boolean]>([
    [null, null, false],
    [null, ['a.example.com'], true],
    [['a.example.com'], null, true],
    [['a.example.com'], ['a.example.com'], false],
    [['a.example.com', 'b.example.com'], ['b.example.com'], false],
    [['a.example.com'], ['a.example.com', 'b.example.com'], true],
    [['a.example.com'], ['*.example.com'], true],
    [['*.example.com'], ['a.example.com'], false],
    [['*.example.com'], ['*.a.example.com', 'a.b.example.com'], false],
    [['*.a.example.com'], ['*.example.com'], true],
    [['*.example.com'], ['example.com'], true],
  ])('%j, then %j: %s', (before, after, wider) => {
    expect(isWider(before, after)).toBe(wider);
  });
});

it('covers hosts below a star, and never all', () => {
  const hosts = ['*.example.com', 'x.example.org'];
  for (const host of ['a.example.com', 'a.b.example.com', 'x.example.org', 'x.example.org.'])
    expect(coversHost(hosts, host)).toBe(true);
  for (const host of ['example.com', 'badexample.com', 'y.x.example.org'])
    expect(coversHost(hosts, host)).toBe(false);
  expect(coversHost([], 'a.example.com')).toBe(false);
});
