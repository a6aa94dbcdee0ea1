import { expect, it } from 'vitest';
import { isPercentEncoded } from './percent-encoding.js';

it.each([
  ['/plain', true],
  ['/%2F%c3%A9', true],
  ['/%', false],
  ['/%2', false],
  ['/%zz', false],
  ['/%c3', false],
  ['/%ff', false],
])('%s: %s', (path, isIt) => {
  expect(isPercentEncoded(path)).toBe(isIt);
});
