import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { Secret } from '../../kernel/secret.js';
import { fuzz } from '../../testing/fuzz.js';
import type { BodyKind } from './body-kind.js';
import { parseEncryptedHeader } from './encrypted.js';
import { Operands, parseText } from './expressions.js';
import { parsePairs } from './pairs.js';
import { type CallTemplate, parseCall } from './template.js';

const NAMED = new Set(['template_error', 'too_many_tokens', 'validation_error']);
const kind = fc.constantFrom<BodyKind>('json', 'form', 'text', 'opaque');
const noise = fc.oneof(
  fc.constantFrom(
    '{{',
    '}}',
    '{',
    '}',
    '\\',
    ' ',
    '\n',
    'token',
    ':',
    '.',
    "'",
    '"',
    '%',
    '%7B',
    '&',
    '=',
    '+',
  ),
  fc.constantFrom(
    '{{token:',
    '{{ token : a }}',
    '{{encrypted|json:',
    '{{encrypted|json:a:b}}',
    '$.a',
    '|',
    'json',
  ),
  fc.constantFrom(
    '{{secret:',
    '\\{{token:a}}',
    '\\u007b',
    '[',
    ']',
    ',',
    '\ud800',
    '\0',
    'KCT1:',
    'kc:v1:',
    'kc:',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const anyText = fc.array(noise, { maxLength: 25 }).map((parts) => parts.join(''));
const anyBytes = fc.oneof(
  anyText.map((text) => Buffer.from(text)),
  anyText.map((text) => Buffer.from(`{"a":"${text}"}`)),
  anyText.map((text) => Buffer.from(JSON.stringify({ [text]: [text, 1e21] }))),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
);

function isNamed(error: unknown): boolean {
  return error instanceof AppError && NAMED.has(error.type);
}

function rendered(template: CallTemplate) {
  const sealed = template.seals.map(() => new Secret('sealed'));
  const opened = template.opens.map(() => new Secret('{"opened":true}'));
  return template.render(
    template.operands.map((operand) => new Secret(`"${operand}\\`)),
    { sealed, opened },
    template.secrets.map(({ text }) => new Secret(`"${text}\\`)),
  );
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

test('any call renders or ends with a named error, and a JSON body stays JSON', () => {
  fc.assert(
    fc.property(anyText, anyBytes, kind, fc.option(anyText), (query, body, bodyKind, type) => {
      try {
        const template = parseCall({ query, body }, bodyKind, type);
        if (template === null) return;
        const out = rendered(template);
        if (bodyKind === 'json' && isJson(body)) expect(isJson(out.body!), out.body!.toString()).toBe(true);
        if (bodyKind === 'opaque') expect(out.body).toBe(body);
      } catch (error) {
        if (!isNamed(error)) throw error;
      }
    }),
    fuzz(3000),
  );
});

test('any document header is read or refused with a named error', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, fc.json()), anyText, (header, text) => {
      try {
        parseCall({ query: '', body: Buffer.from(text) }, 'text', null, parseEncryptedHeader(header));
      } catch (error) {
        if (!isNamed(error)) throw error;
      }
    }),
    fuzz(1000),
  );
});

/** Text that opens nothing: other systems' braces among it. */
const literal = fc
  .array(
    fc.oneof(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom('{{ foo }}', '}}', ' ', '"')),
    {
      maxLength: 4,
    },
  )
  // Neither an escape nor a brace may join what follows.
  .map((parts) => `${parts.join('').replaceAll('\\', '/')}.`);
const operand = fc.stringMatching(/^[A-Za-z0-9_.@-]{1,30}$/);
const spaces = fc.constantFrom('', ' ', '\n', ' \t ');
const expression = fc
  .tuple(operand, spaces, spaces, spaces, fc.constantFrom('', '"', "'"))
  .map(([name, a, b, c, quote]) => ({ name, text: `{{${a}token${b}:${c}${quote}${name}${quote}${a}}}` }));
const value = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('{{token:again}}', '\\', '"', '&x=1', '%41', '\n', '\\{{'),
);
const pieces = fc.array(fc.tuple(literal, expression, value), { minLength: 1, maxLength: 10 });

test('what is parsed is the text itself with the values put in', () => {
  fc.assert(
    fc.property(pieces, literal, (parts, tail) => {
      const source = parts.map(([before, { text }]) => before + text).join('') + tail;
      const wanted = parts.map(([before, , put]) => before + put).join('') + tail;
      const names = parts.map(([, { name }]) => name);
      const render = (query: string, body: string, bodyKind: BodyKind) => {
        const template = parseCall({ query, body: Buffer.from(body) }, bodyKind, null)!;
        expect(template.operands).toEqual(names);
        return template.render(parts.map(([, , put]) => new Secret(put)));
      };
      expect(render('', source, 'text').body!.toString()).toBe(wanted);
      const json = render('', JSON.stringify({ n: 1, s: [source] }), 'json').body!.toString();
      expect(JSON.parse(json)).toEqual({ n: 1, s: [wanted] });
      const pair = `a=1&s=${encodeURIComponent(source)}&b=%zz`;
      const form = render('', pair, 'form').body!.toString();
      expect(new URLSearchParams(form).get('s')).toBe(wanted);
      expect(form).toMatch(/^a=1&s=.*&b=%zz$/);
      expect(render(pair, '', 'text').query).toBe(form);
    }),
    fuzz(1000),
  );
});

/** Characters that the parser looked at through the methods of strings. */
function stepsOf(work: () => void): number {
  let steps = 0;
  const { indexOf, charCodeAt, startsWith } = String.prototype;
  const spies = [
    vi.spyOn(String.prototype, 'indexOf').mockImplementation(function (this: string, wanted, from = 0) {
      const at = indexOf.call(this, wanted, from);
      steps += 1 + Math.max(0, (at === -1 ? this.length : at) - from);
      return at;
    }),
    vi.spyOn(String.prototype, 'charCodeAt').mockImplementation(function (this: string, at) {
      steps += 1;
      return charCodeAt.call(this, at);
    }),
    vi.spyOn(String.prototype, 'startsWith').mockImplementation(function (this: string, wanted, from) {
      steps += 1;
      return startsWith.call(this, wanted, from);
    }),
  ];
  try {
    work();
  } catch (error) {
    if (!isNamed(error)) throw error;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return steps;
}

test('the steps grow with the length of a text, whatever it repeats', () => {
  const unit = fc.array(noise, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(unit, unit, (start, repeated) => {
      fc.pre(repeated !== '');
      const text = start + repeated.repeat(Math.ceil(2000 / repeated.length));
      // At most 20 expressions are read, each of which may look once for an end that is far away.
      const stepsMax = 60 * text.length;
      expect(stepsOf(() => parseText(text, new Operands()))).toBeLessThan(stepsMax);
      expect(stepsOf(() => parsePairs(`a=${text}`, 'form', new Operands()))).toBeLessThan(stepsMax);
    }),
    fuzz(200),
  );
});
