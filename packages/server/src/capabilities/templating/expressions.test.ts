import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { PORTABLE_PREFIX } from '../crypto-keys/index.js';
import { holdsExpression, Operands, parseText, renderPieces } from './expressions.js';

function parse(text: string): { operands: string[]; rendered: string } {
  const operands = new Operands();
  const pieces = parseText(text, operands);
  const values = operands.slots.map((_, i) => new Secret(`<${i}>`));
  return { operands: operands.list, rendered: pieces === null ? text : renderPieces(pieces, values) };
}

describe('expressions that are read', () => {
  test.each([
    ['{{ token: cards.tok_1 }}', ['cards.tok_1'], '<0>'],
    ['{{token:tok_1}}', ['tok_1'], '<0>'],
    ['{{\t\n token \r:\n tok_1\t}}', ['tok_1'], '<0>'],
    ["a {{ token: 'tok_1' }} b", ['tok_1'], 'a <0> b'],
    ['{{ token: "tok 1" }}', ['tok 1'], '<0>'],
    ["{{ token: 'a}}b' }}", ['a}}b'], '<0>'],
    ["{{ token: o'brien@x.org }}", ["o'brien@x.org"], '<0>'],
    ['{{ token: a.b.c@x.y }}', ['a.b.c@x.y'], '<0>'],
    ['{{token:a}}{{token:b}}{{token:a}}', ['a', 'b', 'a'], '<0><1><2>'],
    ['{{{ token: a }}}', ['a'], '{<0>}'],
    ['{{ {{ token: a }}', ['a'], '{{ <0>'],
  ])('%j', (text, operands, rendered) => {
    expect(parse(text)).toEqual({ operands, rendered });
    expect(holdsExpression(text)).toBe(true);
  });

  test('up to 1,024 characters, a ciphertext up to twice the length of a value', () => {
    for (const operand of ['a'.repeat(1024), PORTABLE_PREFIX.padEnd(2 * 65_536, 'a')]) {
      expect(parse(`{{token:${operand}}}`).operands).toEqual([operand]);
      expect(() => parse(`{{token:${operand}a}}`)).toThrow(
        expect.objectContaining({ type: 'template_error' }),
      );
    }
  });
});

describe('texts that stay as they are', () => {
  test.each([
    '',
    '{',
    '{{',
    '{{}}',
    '{{ foo }}',
    '{{ user.name }}',
    '{{ token }}',
    '{{ tokens: a }}',
    '{{ Token: a }}',
    '{{ encrypted }}',
    '{{ encrypted: a }}',
    '{{ secrets: a }}',
    '{{var:KEY}}',
    '{{#if token}}{{/if}}',
    '\\{{ foo }}',
    '{ { token: a }}',
    '{{ token',
  ])('%j', (text) => {
    const operands = new Operands();
    expect(parseText(text, operands)).toBeNull();
    expect(operands.list).toEqual([]);
    expect(holdsExpression(text)).toBe(false);
  });
});

describe('escapes', () => {
  test.each([
    ['\\{{ token: a }}', '{{ token: a }}'],
    ['x\\{{token:a}}y', 'x{{token:a}}y'],
    ['\\{{ token: broken', '{{ token: broken'],
    ['\\{{ encrypted | json: $.a }}', '{{ encrypted | json: $.a }}'],
    ['\\{{secret:A}}', '{{secret:A}}'],
    ['\\{{token:a}}\\{{token:b}}', '{{token:a}}{{token:b}}'],
    ['\\{{token:a}}{{token:b}}', '{{token:a}}<0>'],
    ['\\{{token:{{token:b}}', '{{token:<0>'],
    ['\\\\{{token:a}}', '\\{{token:a}}'],
  ])('%j', (text, rendered) => {
    expect(parse(text).rendered).toBe(rendered);
    expect(holdsExpression(text)).toBe(true);
  });

  test('a backslash that belongs to the former expression is none', () => {
    expect(parse("{{token:'\\'}}{{token:b}}")).toEqual({ operands: ['\\', 'b'], rendered: '<0><1>' });
  });
});

describe('template_error', () => {
  test.each([
    '{{ token: }}',
    "{{ token: '' }}",
    '{{ token: a',
    '{{ token: a b }}',
    '{{ token: "a }}',
    '{{ token: "a" b }}',
    '{{ token: a }',
    '{{ token:',
    "{{ token: '\u0000' }}",
    "{{ token: '\ud800' }}",
    `{{ token: ${'a'.repeat(1025)} }}`,
    '{{ encrypted | json: $.a }}',
    '{{encrypted|x}}',
    '{{secret:}}',
    '{{secret: a b}}',
    "{{ secret: 'a }}",
    '{{ secret_id: 1 }',
    `{{ secret: ${'a'.repeat(1025)} }}`,
  ])('%j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ type: 'template_error', status: 400 }));
  });
});

test('the 21st reference is one too many, the same token counted again', () => {
  expect(parse('{{token:a}}'.repeat(20)).operands).toHaveLength(20);
  expect(() => parse('{{token:a}}'.repeat(21))).toThrow(expect.objectContaining({ type: 'too_many_tokens' }));
});

test.each([
  ['{{secret:NAME}}', { by: 'name', text: 'NAME' }],
  ['{{ secret : "a b" }}', { by: 'name', text: 'a b' }],
  ["{{ secret_id: '1' }}", { by: 'id', text: '1' }],
  ['{{secret_id:1}}', { by: 'id', text: '1' }],
])('%s names a secret', (text, reference) => {
  const operands = new Operands();
  expect(parseText(text, operands)).toEqual(['', 0, '']);
  expect([operands.secrets, operands.list]).toEqual([[reference], []]);
});

test('the 101st placeholder of a secret is one too many, and none of them counts as a token', () => {
  const operands = new Operands();
  parseText('{{secret:a}}'.repeat(100), operands);
  expect([operands.secrets.length, operands.list.length]).toEqual([100, 0]);
  expect(() => parse('{{secret:a}}'.repeat(101))).toThrow(
    expect.objectContaining({ type: 'template_error' }),
  );
});

test('a value is not looked at again', () => {
  const operands = new Operands();
  const pieces = parseText('{{token:a}} {{token:b}}', operands);
  const values = [new Secret('{{token:b}}'), new Secret('\\{{token:c}}')];
  expect(renderPieces(pieces!, values)).toBe('{{token:b}} \\{{token:c}}');
});

test('any text either stays, renders or is a template error, never another failure', () => {
  const part = fc.constantFrom(
    '{{',
    '}}',
    '{',
    '\\',
    ' ',
    'token',
    ':',
    'encrypted',
    '|',
    'secret',
    "'",
    '"',
    'a',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      const text = parts.join('');
      try {
        parse(text);
      } catch (error) {
        expect(['template_error', 'too_many_tokens']).toContain((error as { type?: string }).type);
      }
    }),
    { seed: 7, numRuns: 3000 },
  );
});

test('rendering equals a reading by regular expression where nothing is quoted, escaped or refused', () => {
  const part = fc.constantFrom('{{token:a}}', '{{ token : b.c }}', '{{ foo }}', '{{', '{', ' ', '}}', 'x');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      const text = parts.join('');
      let count = 0;
      const byRegex = text.replace(/\{\{\s*token\s*:\s*([^\s}]+)\s*\}\}/g, () => `<${count++}>`);
      if (count > 20) return;
      expect(parse(text).rendered).toBe(byRegex);
    }),
    { seed: 11, numRuns: 3000 },
  );
});
