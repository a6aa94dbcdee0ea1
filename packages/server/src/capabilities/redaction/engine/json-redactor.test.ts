import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PathStep, parseJsonPath } from '../../../kernel/json-path.js';
import { builtin, jsonPath, ruleSet } from '../../../testing/redaction-rules.js';
import { fromByteText, toByteText } from './byte-text.js';
import { JsonRedactor } from './json-redactor.js';
import type { RuleSpec } from './rule.js';
import { TextRedactor } from './text-redactor.js';

function redact(json: string, ...rules: RuleSpec[]): string {
  const redactor = new JsonRedactor(ruleSet(...rules).select('application/json'), 'utf-8', () => {});
  return fromByteText(redactor.whole(toByteText(Buffer.from(json)))).toString('utf8');
}

const pan = builtin('pan');

describe('built-ins', () => {
  it.each([
    ['{"a":"4111111111111111"}', '{"a":"[REDACTED]"}'],
    ['{"a":4111111111111111,"b":1}', '{"a":"[REDACTED]","b":1}'],
    ['[4.111111111111111e15]', '["[REDACTED]"]'],
    ['[630400000000,6.3040000E+15]', '["[REDACTED]","[REDACTED]"]'],
    [
      '{ "n" : 1e400, "big":12345678901234567890123, "c":"x 4111 1111 1111 1111 y" }',
      '{ "n" : 1e400, "big":12345678901234567890123, "c":"x [REDACTED] y" }',
    ],
    ['{"4111111111111111":true}', '{"[REDACTED]":true}'],
    ['"é \\u0034111111111111111 é"', '"\\u00e9 [REDACTED] \\u00e9"'],
    ['{"é":"ü 4111111111111111"}', '{"é":"ü [REDACTED]"}'],
    ['{"a":0.4111111111111111}', '{"a":0.4111111111111111}'],
    ['\ufeff{"a":"4111111111111111"}', '\ufeff{"a":"[REDACTED]"}'],
    ['{"a":1,"a":1}', '{"a":1,"a":1}'],
  ])('%s', (json, expected) => {
    expect(redact(json, pan)).toBe(expected);
  });

  it('passes a number of many zeros in a time that grows with them, not with their square', () => {
    const number = `1.${'0'.repeat(1_000_000)}1`;
    expect(redact(`[${number},4111111111111111.${'0'.repeat(1_000)}]`, pan)).toBe(`[${number},"[REDACTED]"]`);
  });

  it('removes a number', () => {
    expect(redact('[4111111111111111]', builtin('pan', { action: 'remove' }))).toBe('[null]');
  });

  it('writes a replacement as JSON', () => {
    expect(redact('["4111111111111111"]', builtin('pan', { replacement: '"\\ •' }))).toBe(
      '["\\"\\\\ \\u2022"]',
    );
    expect(redact('["4111111111111111\\n"]', builtin('pan', { replacement: '"\\ •' }))).toBe(
      '["\\"\\\\ \\u2022\\n"]',
    );
  });
});

describe('paths', () => {
  const doc = '{"a":{"b":[{"c":1,"d":"x"},{"c":"two","d":"y"}]},"c":null}';
  it.each([
    ['$.c', '{"a":{"b":[{"c":1,"d":"x"},{"c":"two","d":"y"}]},"c":"[REDACTED]"}'],
    ['$..c', '{"a":{"b":[{"c":"[REDACTED]","d":"x"},{"c":"[REDACTED]","d":"y"}]},"c":"[REDACTED]"}'],
    ['$.a.b[1].c', '{"a":{"b":[{"c":1,"d":"x"},{"c":"[REDACTED]","d":"y"}]},"c":null}'],
    ["$['a'].b[*]['d']", '{"a":{"b":[{"c":1,"d":"[REDACTED]"},{"c":"two","d":"[REDACTED]"}]},"c":null}'],
    ['$.a', '{"a":"[REDACTED]","c":null}'],
    ['$.*', '{"a":"[REDACTED]","c":"[REDACTED]"}'],
    ['$', '"[REDACTED]"'],
    ['$..[0]', '{"a":{"b":["[REDACTED]",{"c":"two","d":"y"}]},"c":null}'],
    ['$.none', doc],
  ])('%s', (path, expected) => {
    expect(redact(doc, jsonPath(path))).toBe(expected);
  });

  it.each([
    ['{"a":1,"b":2,"c":3}', '$.a', '{"b":2,"c":3}'],
    ['{"a":1,"b":2,"c":3}', '$.b', '{"a":1,"c":3}'],
    ['{"a":1,"b":2,"c":3}', '$.c', '{"a":1,"b":2}'],
    ['{ "a" : {"x":[1]} }', '$.a', '{ }'],
    ['[1,2,3]', '$[*]', '[]'],
    ['[1, 2, 3]', '$[0]', '[ 2, 3]'],
    ['[1,2,3]', '$', 'null'],
    ['{"a":{"a":1},"b":{"a":[{"a":2}]}}', '$..a', '{"b":{}}'],
  ])('removes from %s at %s', (json, path, expected) => {
    expect(redact(json, jsonPath(path, { action: 'remove' }))).toBe(expected);
  });

  it('shows the last four characters, unless a rule that decides earlier finds something there', () => {
    const partial = { action: 'partial_last4', replacement: '*' } as const;
    const json = '{"a":"4111111111111111","b":12345678,"c":"short","d":{"e":"123456789"}}';
    expect(redact(json, jsonPath('$.*', partial))).toBe('{"a":"*1111","b":"*5678","c":"*","d":"*"}');
    expect(redact(json, jsonPath('$.a', partial), pan)).toContain('"a":"*1111"');
    expect(redact(json, pan, jsonPath('$.a', partial))).toContain('"a":"*"');
  });

  it('lets the earlier of two rules decide', () => {
    const rules = [jsonPath('$.a', { replacement: '1' }), jsonPath('$..a', { replacement: '2' })];
    expect(redact('{"a":0,"b":{"a":0}}', ...rules)).toBe('{"a":"1","b":{"a":"2"}}');
  });
});

describe('refused', () => {
  it.each([
    '',
    '{',
    '[1,]',
    '{"a":1,}',
    '{"a" 1}',
    "{'a':1}",
    '[01]',
    '["\n"]',
    '["\\x"]',
    'nul',
    '1 2',
    '[1]]',
    '{"a":"4111111111111111"',
  ])('malformed %j', (json) => {
    expect(() => redact(json, pan, jsonPath('$..x'))).toThrow(/malformed JSON/);
  });

  it('nested too deep', () => {
    expect(() => redact('['.repeat(100_000), pan)).toThrow(/nested deeper/);
  });
});

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The same rules written the obvious way: parse, walk by recursion, build anew. */
function reference(
  value: Json,
  paths: readonly { steps: PathStep[]; rule: RuleSpec }[],
  text: TextRedactor,
): Json {
  const walk = (node: Json, at: (string | number)[]): Json | undefined => {
    const rule = paths.find(({ steps }) => pathMatches(steps, at))?.rule;
    if (rule) return rule.action === 'remove' ? undefined : rule.replacement;
    if (typeof node === 'string') return text.whole(node);
    if (Array.isArray(node)) {
      return node.map((child, index) => walk(child, [...at, index])).filter((child) => child !== undefined);
    }
    if (node === null || typeof node !== 'object') return node;
    const members = Object.entries(node).flatMap(([name, child]) => {
      const kept = walk(child, [...at, name]);
      return kept === undefined ? [] : [[text.whole(name), kept] as const];
    });
    return Object.fromEntries(members);
  };
  return walk(value, []) ?? null;
}

function pathMatches(steps: readonly PathStep[], at: readonly (string | number)[]): boolean {
  const [step, ...rest] = steps;
  if (!step) return at.length === 0;
  const [key, ...below] = at;
  if (key === undefined) return false;
  const here = step.kind === 'any' || (step.kind === 'name' ? step.name === key : step.index === key);
  return (here && pathMatches(rest, below)) || (step.deep && pathMatches(steps, below));
}

describe('against a reference', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'é', 'x y', '4111111111111111', '');
  const leaf = fc.oneof(
    fc.constantFrom('4111111111111111', 'to a@b.com "x"', 'é\n4111 1111 1111 1111', '', 'plain'),
    fc.string({ maxLength: 8 }),
    fc.integer({ min: -1000, max: 1000 }),
    fc.constantFrom(true, false, null),
  );
  const document = fc.letrec<{ node: Json }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      fc.array(tie('node'), { maxLength: 4 }),
      fc.dictionary(name, tie('node'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).node;
  const step = fc.constantFrom(
    '.a',
    '.b',
    "['é']",
    '[0]',
    '[1]',
    '[*]',
    '.*',
    '..a',
    '..*',
    '..[1]',
    "..['x y']",
  );
  const rule = fc.record({ steps: fc.array(step, { maxLength: 3 }), remove: fc.boolean() });

  it('makes the same of any document by any paths', () => {
    fc.assert(
      fc.property(document, fc.array(rule, { maxLength: 4 }), fc.nat(4), (value, drawn, indent) => {
        const paths = drawn.map(({ steps, remove }, rank) =>
          jsonPath(`$${steps.join('')}`, { action: remove ? 'remove' : 'mask', replacement: `R${rank}` }),
        );
        const rules = [...paths, builtin('pan'), builtin('email')];
        const selection = ruleSet(...rules).select('application/json');
        const expected = reference(
          value,
          paths.map((spec) => ({ rule: spec, steps: parseJsonPath(spec.match.value) })),
          new TextRedactor(selection.builtins, () => {}),
        );
        expect(JSON.parse(redact(JSON.stringify(value, null, indent), ...rules))).toEqual(expected);
      }),
      { numRuns: 3000, seed: 11 },
    );
  });

  it('reads any slice size alike', () => {
    fc.assert(
      fc.property(document, fc.integer({ min: 1, max: 40 }), (value, slice) => {
        const rules = [jsonPath('$..a', { action: 'remove' }), jsonPath('$[0]'), builtin('pan')];
        const json = toByteText(Buffer.from(JSON.stringify(value)));
        const redactor = new JsonRedactor(ruleSet(...rules).select('application/json'), 'utf-8', () => {});
        redactor.begin(json);
        while (!redactor.advance(slice));
        expect(redactor.result()).toBe(redactor.whole(json));
      }),
      { numRuns: 500, seed: 13 },
    );
  });
});
