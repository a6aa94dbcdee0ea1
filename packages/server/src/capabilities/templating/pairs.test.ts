import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { bodyKind } from './body-kind.js';
import { Operands } from './expressions.js';
import { parsePairs, renderPairs } from './pairs.js';
import { referenceOf } from './reference.js';
import { parseCall } from './template.js';

function render(query: string, value = 'v'): string {
  const operands = new Operands();
  const template = parsePairs(query, 'query', operands);
  return template === null
    ? query
    : renderPairs(
        template,
        operands.list.map(() => new Secret(value)),
      );
}

test.each([
  ['a={{token:t}}', 'a=v'],
  ['a=&={{token:t}}', 'a=&=v'],
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
  function renderBody(body: string | Buffer, contentType: string, value: string): string {
    const kind = bodyKind(contentType, null);
    const bytes = Buffer.from(body as string);
    const template = parseCall({ query: '', body: bytes }, kind, contentType);
    const values = template?.operands.map(() => new Secret(value)) ?? [];
    return (template?.render(values).body ?? bytes).toString('latin1');
  }
  const FORM = 'application/x-www-form-urlencoded; charset=UTF-8';
  const utf8 = (text: string) => Buffer.from(text).toString('latin1');

  test.each([
    ['a=1+1&card=%7B%7B+token%3A+t+%7D%7D&b=%zz', 'a=1+1&card=x%20%26%3D%2B%C3%A9&b=%zz'],
    ['card={{token:t}}{{token:u}}&', 'card=x%20%26%3D%2B%C3%A9x%20%26%3D%2B%C3%A9&'],
    ['a=\\{{token:t}}', 'a=%7B%7Btoken%3At%7D%7D'],
    ['{{token:t}}=1&{{token:t}}', '{{token:t}}=1&{{token:t}}'],
    ['a=%7B%7Bfoo%7D%7D&b=1+1&\u00e9', utf8('a=%7B%7Bfoo%7D%7D&b=1+1&\u00e9')],
  ])('a form value is decoded, rendered and encoded again: %s', (body, rendered) => {
    expect(renderBody(body, FORM, 'x &=+é')).toBe(rendered);
  });

  test.each([
    ['text/plain', 'hello {{ token: t }}!', utf8('hello <&"é!')],
    ['application/xml', '<pan>{{token:t}}</pan>é', utf8('<pan><&"é</pan>é')],
    ['text/csv; charset="utf-8"', '\ufeffa,{{ token: "t" }}\r\n', utf8('\ufeffa,<&"é\r\n')],
    ['text/plain', '\\{{ token: t }} {{ foo }}', '{{ token: t }} {{ foo }}'],
    ['text/plain; charset=latin1', '{{ foo }}', '{{ foo }}'],
  ])('%s takes the value as it is: %s', (contentType, body, rendered) => {
    expect(renderBody(body, contentType, '<&"é')).toBe(rendered);
  });

  test('text that is not UTF-8 is not textual', () => {
    const body = Buffer.from('\u00ff{{token:t}}', 'latin1');
    expect(renderBody(body, 'text/plain', 'v')).toBe('\u00ff{{token:t}}');
  });

  test.each([
    ['a=%ff{{token:t}}', FORM, 'template_error', /form value/],
    ['a={{token:', FORM, 'template_error', /closed/],
    ['{{ token: }}', 'text/plain', 'template_error', /names no token/],
    ['{{ token: t }}', 'text/plain; Charset=ISO-8859-1', 'validation_error', /charset/],
  ])('%s as %s is refused', (body, contentType, type, message) => {
    expect(() => renderBody(body, contentType, 'v')).toThrow(
      expect.objectContaining({ type, publicMessage: expect.stringMatching(message) }),
    );
  });

  test('a value is never scanned again', () => {
    expect(renderBody('{{token:t}}', 'text/plain', '{{token:t}}')).toBe('{{token:t}}');
  });

  test('10 MiB of pairs take a time that grows with their length', () => {
    const pairs = Buffer.from('&a={{'.repeat(2 * 1024 * 1024));
    const startedMs = performance.now();
    expect(parseCall({ query: '', body: pairs }, 'form', FORM)).toBeNull();
    expect(performance.now() - startedMs).toBeLessThan(15_000);
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
