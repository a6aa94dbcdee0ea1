import { expect, it } from 'vitest';
import { injectBody } from './inject-body.js';

const merged = (body: string, injected: Record<string, unknown>) =>
  injectBody(Buffer.from(body), injected)?.toString() ?? null;

it.each([
  ['{}', { a: 1 }, '{"a":1}'],
  [' { } ', { a: 1 }, ' {"a":1 } '],
  ['{"b":2}', { a: 1 }, '{"b":2,"a":1}'],
  ['{"a":{"deep":[1,2]},"b":2}', { a: 1 }, '{"a":1,"b":2}'],
  [
    '{ "n" : 1.10e+2, "big": 123456789012345678901 }\n',
    { a: null },
    '{ "n" : 1.10e+2, "big": 123456789012345678901,"a":null }\n',
  ],
  ['{"a":1,"b":0,"a":2}', { a: 'x' }, '{"a":"x","b":0,"a":"x"}'],
  ['{"\\u0061":1}', { a: 2 }, '{"\\u0061":2}'],
  ['{"o":{"a":1}}', { a: 2 }, '{"o":{"a":1},"a":2}'],
  ['{"o":{"a":1}}', { o: { b: 2 } }, '{"o":{"b":2}}'],
  ['{"a":1}', {}, '{"a":1}'],
  ['\ufeff{"b":1}', { a: 'ü' }, '\ufeff{"b":1,"a":"ü"}'],
  ['{"b":1}', JSON.parse('{"__proto__":1}') as Record<string, unknown>, '{"b":1,"__proto__":1}'],
])('%s with %j is %s', (body, injected, expected) => {
  expect(merged(body, injected)).toBe(expected);
});

it.each(['', '[]', '[{"a":1}]', '"text"', '1', 'a=b', '{"a":1', '{"a":1} x', `${'['.repeat(65)}`])(
  '%j is no object, and goes on as it came',
  (body) => {
    expect(merged(body, { a: 1 })).toBeNull();
  },
);

it('what is not UTF-8 goes on as it came', () => {
  expect(injectBody(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), { a: 1 })).toBeNull();
});
