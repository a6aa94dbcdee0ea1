import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scanJson } from '../../kernel/json-scanner.js';
import { Secret } from '../../kernel/secret.js';
import { Operands } from './expressions.js';
import { parseJsonBody, renderJsonBody } from './json-body.js';

function render(body: string | Buffer, value: (operand: string) => string = (o) => `<${o}>`): string {
  const bytes = Buffer.from(body as string);
  const operands = new Operands();
  const template = parseJsonBody(bytes, operands);
  const values = operands.list.map((operand) => new Secret(value(operand)));
  return (template === null ? bytes : renderJsonBody(template, values)).toString();
}

test.each([
  ['{"card":"{{ token: cards.t }}"}', '{"card":"<cards.t>"}'],
  ['"{{token:a}}"', '"<a>"'],
  ['[ "x{{token:a}}" , ["{{token:b}}"] ]', '[ "x<a>" , ["<b>"] ]'],
  ['{"{{token:key}}":"{{token:a}}"}', '{"{{token:key}}":"<a>"}'],
  [
    '{"n":1e400,"i":12345678901234567890,"f":1.0,"z":-0,"s":"{{token:a}}"}',
    '{"n":1e400,"i":12345678901234567890,"f":1.0,"z":-0,"s":"<a>"}',
  ],
  ['{"a":1,"a":"{{token:a}}","a":2}', '{"a":1,"a":"<a>","a":2}'],
  ['{"a":"\\u007b\\u007B token: a }}"}', '{"a":"<a>"}'],
  ['{"a":"{\\u007b token: a }}","b":"\\u0041"}', '{"a":"<a>","b":"\\u0041"}'],
  ['\ufeff{"a":"{{token:a}}"}', '\ufeff{"a":"<a>"}'],
  ['{"a":"\\\\{{token:a}}"}', '{"a":"{{token:a}}"}'],
  ['{"a":"{{ foo }}","b":"\\/"}', '{"a":"{{ foo }}","b":"\\/"}'],
  ['{"a":"\\ud800 {{token:a}}"}', '{"a":"\\ud800 <a>"}'],
])('%s', (body, rendered) => {
  expect(render(body)).toBe(rendered);
});

test('P09: a value with quote, backslash, newline and controls stays valid JSON', () => {
  const value = 'a"b\\c\nd\u0001\u2028é😀';
  expect(JSON.parse(render('{"a":"{{token:t}}"}', () => value))).toEqual({ a: value });
});

test('P14: template text inside a value is not rendered again', () => {
  expect(render('["{{token:a}}","{{token:b}}"]', (o) => (o === 'a' ? '{{token:b}}' : '2'))).toBe(
    '["{{token:b}}","2"]',
  );
});

describe('400 for a body that is relied on but cannot be rendered', () => {
  test.each([
    '{"a":{{token:a}}}',
    '{"a":"{{token:a}}"',
    '{"a":"{{token:a}}",}',
    '{"a":"{{token:a}}"} x',
    '{"a":01,"b":"{{token:a}}"}',
    '{"a":"{{token:a}}\n"}',
    '{"a":"{{token:a}}\x1f"}',
    '{"a":"{{token:a}}\\u007"}',
    '{"a":"{{token:a}}\\u007g"}',
    `${'['.repeat(65)}"{{token:a}}"${']'.repeat(65)}`,
  ])('%s', (body) => {
    expect(() => render(body)).toThrow(expect.objectContaining({ type: 'validation_error' }));
  });

  test('bytes that are not UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"a":"{{token:a}}'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(() => render(body)).toThrow(expect.objectContaining({ type: 'validation_error' }));
  });

  test.each(['utf16le', 'utf16be'])('%s', (encoding) => {
    const body = Buffer.from('{"a":"{{token:a}}"}', 'utf16le');
    expect(() => render(encoding === 'utf16be' ? body.swap16() : body)).toThrow(
      expect.objectContaining({ type: 'validation_error' }),
    );
  });
});

test.each(['{"a":', '{{ foo }}', '{"a":"{{ foo }}",}', `${'['.repeat(100)}{{`])(
  'a malformed body without an expression is the upstream’s matter: %s',
  (body) => {
    expect(render(body)).toBe(body);
  },
);

test('64 levels are read', () => {
  const body = (depth: number): string => `${'['.repeat(depth)}"{{token:a}}"${']'.repeat(depth)}`;
  expect(render(body(64))).toContain('<a>');
});

const leaf = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('{{token:a}}', 'x {{ token: v.b }} y', '\\{{token:c}}', '{{ foo }}', '{{', '\\'),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4 }),
  ),
}));

/** By values: what a caller that parses the rendered body must see. */
function reference(value: unknown): unknown {
  if (typeof value === 'string') {
    return value.replace(
      /(\\?)\{\{\s*token\s*:\s*([^\s}]+)\s*\}\}/g,
      (all, backslash: string, operand: string) => (backslash === '' ? `"<${operand}>"` : all.slice(1)),
    );
  }
  if (Array.isArray(value)) return value.map(reference);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, reference(member)]));
  }
  return value;
}

test('rendering equals a reference that parses, renders and compares values', () => {
  fc.assert(
    fc.property(json, fc.constantFrom(undefined, 1), (value, indent) => {
      const body = JSON.stringify(value, null, indent);
      let rendered: string;
      try {
        rendered = render(body, (operand) => `"<${operand}>"`);
      } catch (error) {
        expect(error).toMatchObject({ type: 'too_many_tokens' });
        return;
      }
      expect(JSON.parse(rendered)).toEqual(JSON.parse(JSON.stringify(reference(JSON.parse(body)))));
    }),
    { seed: 3, numRuns: 1500 },
  );
});

test('the scanner accepts exactly what JSON.parse accepts, and a body without expressions is byte-equal', () => {
  const part = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '\\',
    '\\u00',
    '1',
    '-',
    '0',
    '.5',
    'e+3',
    'E',
    'true',
    'null',
    ' ',
    '\n',
    '\t',
    '{{',
    'é',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(part, { maxLength: 12 }).map((p) => p.join('')),
        fc.json(),
        fc.string(),
      ),
      (body) => {
        let valid = true;
        try {
          JSON.parse(body);
        } catch {
          valid = false;
        }
        const bytes = Buffer.from(body);
        expect(scanJson(bytes, {}) === null).toBe(valid && bytes.toString() === body);
        expect(render(body)).toBe(bytes.toString());
      },
    ),
    { seed: 5, numRuns: 5000 },
  );
});

test('10 MiB of braces, spaces, openings and escapes take a number of steps that grows with the length', () => {
  const size = 10 * 1024 * 1024;
  for (const unit of ['{', '{{ ', '\\\\{{token:', '\\u007b', '"",', '[', '{{ token \\n']) {
    const text = unit.repeat(Math.floor(size / unit.length));
    const small = text.slice(0, unit.length * 2000);
    expect(outcome(`["${text}"]`)).toBe(outcome(`["${small}"]`));
  }
});

function outcome(body: string): string {
  try {
    const rendered = render(body);
    return rendered === body ? 'as it came' : 'rendered';
  } catch (error) {
    return (error as { type: string }).type;
  }
}
