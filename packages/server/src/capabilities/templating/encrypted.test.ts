import { describe, expect, test } from 'vitest';
import { Secret } from '../../kernel/secret.js';
import { parseEncryptedHeader } from './encrypted.js';
import { parseCall } from './template.js';

const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
const DOCUMENT = {
  card: { number: '4242', cvc: 123, 'a-b': null },
  list: [{ x: 'y' }, true, 1.5],
  '': '',
  __p: 1,
};
const document = parseEncryptedHeader(base64(JSON.stringify(DOCUMENT)));
const PORTABLE = `kc:1:j:${Buffer.from(
  'aaaaaaaa-0000-4000-8000-000000000001:bbbbbbbb-0000-4000-8000-000000000001:1',
).toString('base64url')}:${'A'.repeat(87)}:${'B'.repeat(16)}:${'C'.repeat(32)}:$`;
const invalid = expect.objectContaining({ type: 'validation_error', status: 400 });
const template = expect.objectContaining({ type: 'template_error', status: 400 });

const parse = (body: string, query = '', from: typeof document | null = document) =>
  parseCall({ query, body: Buffer.from(body) }, 'json', null, from);
const render = (text: string) => {
  const call = parse(JSON.stringify([text]));
  return JSON.parse(call?.render([]).body?.toString() ?? '')[0] as string;
};

describe('X-Knox-Encrypted', () => {
  test.each([
    ['no base64', '{}'],
    ['empty', ''],
    ['base64 of no JSON', base64('{')],
    ['not UTF-8', base64(Buffer.of(0x22, 0xff, 0x22))],
    ['nested too deep', base64('['.repeat(65) + ']'.repeat(65))],
    ['too long', base64(JSON.stringify('x'.repeat(12_300)))],
  ])('is refused when it is %s', (_what, text) => {
    expect(() => parseEncryptedHeader(text)).toThrow(invalid);
  });

  test('may be as long as it may be', () => {
    const text = base64(JSON.stringify('x'.repeat(12_286)));
    expect(text).toHaveLength(16_384);
    expect(parseEncryptedHeader(text).root).toHaveLength(12_286);
  });
});

describe('reading a path', () => {
  test.each([
    ['$.card.number', '4242'],
    ['$.card.cvc', '123'],
    ['$.card.a-b', 'null'],
    ['$.list[0].x', 'y'],
    ['$.list[1]', 'true'],
    ['$.list', '[{"x":"y"},true,1.5]'],
    ['$', JSON.stringify(DOCUMENT)],
  ])('%s', (path, text) => {
    expect(render(`<{{ encrypted | json: ${path} }}>`)).toBe(`<${text}>`);
    expect(render(`{{encrypted|json:${path}}}`)).toBe(text);
  });

  test.each([
    '$.none',
    '$.card.number.length',
    '$.card.toString',
    '$.__proto__',
    '$.constructor',
    '$.list[3]',
    '$.list.length',
    '$.card[0]',
    '$..card',
    '$card',
    '$.card.',
    '$.list[-1]',
    '$.list[01]',
    '$.card number',
  ])('%s is not there', (path) => {
    expect(() => parse(JSON.stringify([`{{ encrypted | json: ${path} }}`]))).toThrow(template);
  });

  test('again and again makes no more than a body may have', () => {
    const long = parseEncryptedHeader(
      base64(JSON.stringify({ a: ['x'.repeat(12_000)], b: 'y'.repeat(200) })),
    );
    const read = (path: string, times: number) =>
      parse(JSON.stringify(`{{encrypted|json:${path}}}`.repeat(times)), '', long);
    expect(read('$.a', 870)?.render([]).body?.length).toBeGreaterThan(10_000_000);
    expect(() => read('$.a', 880)).toThrow(template);
    expect(() => read('$.b', 60_000)).toThrow(template);
  });

  test('needs the header', () => {
    expect(() => parse('["{{ encrypted | json: $.card }}"]', '', null)).toThrow(template);
  });

  test('what it reads is not looked at again', () => {
    const injected = parseEncryptedHeader(base64(JSON.stringify({ a: '{{ token: t }}' })));
    const call = parse('["{{ encrypted | json: $.a }}"]', '', injected);
    expect(call?.operands).toEqual([]);
    expect(call?.render([]).body?.toString()).toBe('["{{ token: t }}"]');
  });
});

describe('sealing', () => {
  test.each([
    ['{{ encrypted | json: pan:4242 }}', { pan: '4242' }],
    ['{{encrypted|json:pan:4242}}', { pan: '4242' }],
    ['{{ encrypted | json: a : b c:d }}', { a: 'b c:d' }],
    ['{{ encrypted | json: "a b": \'c}}d\' }}', { 'a b': 'c}}d' }],
    ["{{ encrypted | json: a: '' }}", { a: '' }],
  ])('%s', (text, sealed) => {
    const call = parse(JSON.stringify([`<${text}>`]));
    expect(call?.seals.map((json) => JSON.parse(json))).toEqual([sealed]);
    const portables = { sealed: [new Secret('kc:x')], opened: [] };
    expect(call?.render([], portables).body?.toString()).toBe('["<kc:x>"]');
  });

  test.each([
    '{{ encrypted | json: a }}',
    '{{ encrypted | json: :b }}',
    '{{ encrypted | json: a: }}',
    '{{ encrypted | json: "": b }}',
    '{{ encrypted | json }}',
    '{{ encrypted | xml: a:b }}',
    '{{ encrypted | json: a:b',
    '{{ encrypted | json: a: "b" c }}',
    '{{ encrypted | json: a: "b }}',
    '{{ encrypted | json: a: b\u0000 }}',
    '{{ encrypted | json: a\u0000: b }}',
    '{{ encrypted | json: a }} b:c }}',
  ])('%j is refused', (text) => {
    expect(() => parse(JSON.stringify([text]))).toThrow(template);
  });
});

describe('opening', () => {
  test('takes a string that is a ciphertext and nothing else, in place of its quotes', () => {
    const call = parse(`{"a":"${PORTABLE}","b":[ "x${PORTABLE}","${PORTABLE} " ],"${PORTABLE}":1e400}`);
    expect(call?.opens).toHaveLength(1);
    const portables = { sealed: [], opened: [new Secret('{"x":0.10}')] };
    expect(call?.render([], portables).body?.toString()).toBe(
      `{"a":{"x":0.10},"b":[ "x${PORTABLE}","${PORTABLE} " ],"${PORTABLE}":1e400}`,
    );
  });

  test('leaves alone what only begins so, and a query', () => {
    expect(parse('["kc:1:", "kc:1:j:a:b:c:d:$"]')).toBeNull();
    expect(parse('{}', `a=${PORTABLE}`)).toBeNull();
  });

  test('keeps tokens, seals and openings apart, in the order of the text', () => {
    const call = parse(
      `["{{ encrypted | json: a:b }}{{ token: t1 }}","${PORTABLE}","{{ token: t2 }}{{ encrypted | json: c:d }}"]`,
      'q={{token:t0}}',
    );
    expect(call?.operands).toEqual(['t0', 't1', 't2']);
    const secrets = (...texts: string[]) => texts.map((text) => new Secret(text));
    const parts = call?.render(secrets('T0', 'T1', 'T2'), {
      sealed: secrets('S1', 'S2'),
      opened: secrets('true'),
    });
    expect(parts?.body?.toString()).toBe('["S1T1",true,"T2S2"]');
    expect(parts?.query).toBe('q=T0');
  });

  test('and sealing together stop at 100 a call, which are no token references', () => {
    const texts = [...Array(50).fill(PORTABLE), ...Array(50).fill('{{ encrypted | json: a:b }}')];
    expect(parse(JSON.stringify(texts))?.opens).toHaveLength(50);
    expect(() => parse(JSON.stringify([...texts, PORTABLE]))).toThrow(template);
  });
});
