import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { bodyKind, refuseExpressions } from './body-kind.js';
import { Operands } from './expressions.js';
import { parseQuery, renderQuery } from './query.js';
import { referenceOf } from './reference.js';
import { parseCall } from './template.js';

function render(query: string, value = 'v'): string {
  const operands = new Operands();
  const template = parseQuery(query, operands);
  return template === null
    ? query
    : renderQuery(
        template,
        operands.list.map(() => new Secret(value)),
      );
}

test.each([
  ['a={{token:t}}', 'a=v'],
  ['a=%7B%7B%20token%3A%20t%20%7D%7D', 'a=v'],
  ['a=%7b%7btoken:t}}', 'a=v'],
  ['a={{+token:+t+}}&b=1+2', 'a=v&b=1+2'],
  ['x=%zz&a={{token:t}}&&y', 'x=%zz&a=v&&y'],
  ['a=x y={{token:t}}', 'a=x%20y%3Dv'],
  ['n%20m=x%2Fy{{token:t}}', 'n%20m=x%2Fyv'],
  ['{{token:t}}', '{{token:t}}'],
  ['{{token:t}}=1', '{{token:t}}=1'],
  ['a={{foo}}&b=%7B%7Bbar%7D%7D', 'a={{foo}}&b=%7B%7Bbar%7D%7D'],
  ['a=\\{{token:t}}', 'a=%7B%7Btoken%3At%7D%7D'],
  ['a=%ff%7B%7Bfoo', 'a=%ff%7B%7Bfoo'],
])('%s', (query, rendered) => {
  expect(render(query)).toBe(rendered);
});

test('P10: a value in the query is percent-encoded, a space as %20', () => {
  expect(render('a={{token:t}}', "4111 &=+#%é'()*!~")).toBe('a=4111%20%26%3D%2B%23%25%C3%A9%27%28%29%2A%21~');
});

test('a value that is not UTF-8 cannot be rendered', () => {
  expect(() => render('a=%ff{{token:t}}')).toThrow(expect.objectContaining({ type: 'template_error' }));
});

test('any query without an expression is byte-equal', () => {
  const part = fc.constantFrom('%', '7B', '%7B', '{', '{{', '&', '=', '+', 'a', 'tok', '}}', '\u00e9');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      expect(render(parts.join(''))).toBe(parts.join(''));
    }),
    { seed: 2, numRuns: 3000 },
  );
});

test('any value comes back by URLSearchParams', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      expect(new URLSearchParams(render('k={{token:t}}&z=1', value)).get('k')).toBe(value);
    }),
    { seed: 2, numRuns: 500 },
  );
});

test.each([
  [null, null, 'json'],
  ['application/json', null, 'json'],
  ['Application/JSON; charset=utf-8', null, 'json'],
  ['application/vnd.api+json', null, 'json'],
  ['application/json', 'gzip', 'opaque'],
  ['application/json', 'Identity', 'json'],
  ['application/x-www-form-urlencoded', null, 'form'],
  ['text/plain', null, 'text'],
  ['application/xml', null, 'text'],
  ['image/svg+xml', null, 'text'],
  ['multipart/form-data; boundary=x', null, 'opaque'],
  ['application/octet-stream', null, 'opaque'],
  ['image/png', null, 'opaque'],
])('%s with encoding %s is %s', (type, encoding, kind) => {
  expect(bodyKind(type, encoding)).toBe(kind);
});

describe('form and text bodies', () => {
  test.each([
    ['form', 'a=%7B%7B+token%3A+t+%7D%7D'],
    ['form', 'a={{token:t}}'],
    ['text', 'hello {{ token: t }}'],
    ['text', '\\{{ token: t }}'],
    ['text', '{{secret:A}}'],
  ] as const)('%s with an expression is refused by name: %s', (kind, body) => {
    expect(() => refuseExpressions(kind, Buffer.from(body), 'text/x-sample')).toThrow(
      expect.objectContaining({
        type: 'validation_error',
        publicMessage: expect.stringContaining('text/x-sample'),
      }),
    );
  });

  test.each([
    ['form', 'a=%7B%7Bfoo%7D%7D&b=1+1'],
    ['text', '{{ foo }} {{ token }}'],
  ] as const)('%s without one passes: %s', (kind, body) => {
    expect(() => refuseExpressions(kind, Buffer.from(body), 'x')).not.toThrow();
  });

  test('text that is not UTF-8 is not textual', () => {
    expect(() => refuseExpressions('text', Buffer.from('\u00ff{{token:t}}', 'latin1'), 'x')).not.toThrow();
  });
});

test('references are counted over query and body together, query first', () => {
  const parts = (inQuery: number, inBody: number) => ({
    query: Array.from({ length: inQuery }, (_, i) => `q${i}={{token:q${i}}}`).join('&'),
    body: Buffer.from(JSON.stringify(Array.from({ length: inBody }, (_, i) => `{{token:b${i}}}`))),
  });
  const template = parseCall(parts(9, 11), 'json', null);
  expect(template?.operands[0]).toBe('q0');
  expect(template?.operands[9]).toBe('b0');
  expect(template?.operands).toHaveLength(20);
  expect(() => parseCall(parts(10, 11), 'json', null)).toThrow(
    expect.objectContaining({ type: 'too_many_tokens' }),
  );
  expect(parseCall({ query: 'a=1', body: Buffer.from('{}') }, 'json', null)).toBeNull();
});

describe('references', () => {
  const names = new Set(['cards', 'mails']);
  test.each([
    ['cards.tok_1', { vault: 'cards', token: 'tok_1' }],
    ['mails.a.b@x.y', { vault: 'mails', token: 'a.b@x.y' }],
    ['a.b@x.y', { vault: null, token: 'a.b@x.y' }],
    ['.tok', { vault: null, token: '.tok' }],
    ['cards', { vault: null, token: 'cards' }],
  ])('%s', (operand, reference) => {
    expect(referenceOf(operand, names)).toEqual(reference);
  });

  test('a vault without a token', () => {
    expect(() => referenceOf('cards.', names)).toThrow(expect.objectContaining({ type: 'template_error' }));
  });
});
