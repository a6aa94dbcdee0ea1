import { describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import { JsonText } from '../../kernel/json-text.js';
import { isJsonMediaType, parseJsonBody } from './json-body.js';

function refusalOf(bytes: Buffer, kept?: readonly string[]): Record<string, string[]> | undefined {
  try {
    parseJsonBody(bytes, kept);
  } catch (error) {
    if (isAppError(error, 'validation_error')) return error.fields;
    throw error;
  }
  return undefined;
}

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

describe('parseJsonBody', () => {
  it('gives undefined for no bytes and the value otherwise', () => {
    expect(parseJsonBody(Buffer.alloc(0))).toBeUndefined();
    expect(parseJsonBody(Buffer.from('{"a":[1,"ü😀"]}'))).toEqual({ a: [1, 'ü😀'] });
  });

  it('takes 64 levels and refuses 65, brackets in texts not counted', () => {
    expect(refusalOf(Buffer.from(nested(64)))).toBeUndefined();
    expect(refusalOf(Buffer.from(nested(65)))).toEqual({ body: ['is nested deeper than 64 levels'] });
    expect(refusalOf(Buffer.from(JSON.stringify({ a: `${'['.repeat(100)}"\\` })))).toBeUndefined();
  });

  it.each([
    ['lists', '[],', 150_000],
    ['numbers', '0,', 300_000],
    ['objects', '{},', 150_000],
    ['objects with a member', '{"":0},', 50_000],
  ])('refuses more %s than are read in milliseconds', (_, unit, count) => {
    const rule = 'holds more than 300000 values, each member of an object counted as 5';
    expect(refusalOf(Buffer.from(`{"a":[${unit.repeat(count)}0]}`))).toEqual({ body: [rule] });
    expect(refusalOf(Buffer.from(`{"a":[${unit.repeat(count - 10)}0]}`))).toBeUndefined();
  });

  it('refuses more names than are read in milliseconds, and counts nothing within texts', () => {
    const members = (count: number) => Array.from({ length: count }, (_, index) => `"${index}":0`).join();
    expect(refusalOf(Buffer.from(`{${members(60_001)}}`))).toBeDefined();
    expect(refusalOf(Buffer.from(`{${members(59_999)}}`))).toBeUndefined();
    expect(refusalOf(Buffer.from(JSON.stringify({ a: '[],{"a":'.repeat(1_000_000) })))).toBeUndefined();
  });

  it('takes 100 values whose metadata is as full as can be', () => {
    const metadata = (unit: string) => `{"a":[${unit.repeat(Math.floor(4_080 / unit.length))}0]}`;
    for (const unit of ['0,', '[],', '{},', '"",']) {
      const value = `{"value":"a","metadata":${metadata(unit)}}`;
      expect(refusalOf(Buffer.from(`{"values":[${Array(100).fill(value).join()}]}`))).toBeUndefined();
    }
  });

  it('refuses a million open brackets without a stack overflow', () => {
    expect(refusalOf(Buffer.from('['.repeat(1_000_000)))).toBeDefined();
  });

  it.each([
    ['broken JSON', Buffer.from('{"secret":"canary"'), 'body'],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'body'],
    ['NUL in a text', Buffer.from('{"a":{"b":["x","\\u0000"]}}'), 'a.b.1'],
    ['a lone surrogate', Buffer.from('{"a":"\\uD800"}'), 'a'],
    ['NUL in a name', Buffer.from('{"x":{"a\\u0000":1}}'), 'x'],
    ['__proto__ as a name', Buffer.from('{"x":{"__proto__":{"a":1}}}'), 'x'],
    ['__proto__ behind an escape', Buffer.from('{"\\u005f_proto__":{}}'), 'body'],
    ['__proto__ behind an escaped letter', Buffer.from('{"__pr\\u006fto__":{}}'), 'body'],
  ])('refuses %s', (_, bytes, field) => {
    const fields = refusalOf(bytes);
    expect(Object.keys(fields ?? {})).toEqual([field]);
    expect(JSON.stringify(fields)).not.toContain('canary');
  });

  it('takes a surrogate pair written as escapes', () => {
    expect(parseJsonBody(Buffer.from('"\\ud83d\\ude00"'))).toBe('😀');
  });
});

describe('a body of which a member is kept as text', () => {
  const kept = ['data'];
  const many = (text: string) => text.repeat(64 * 1024);

  it('is taken where that is large', () => {
    const body = parseJsonBody(Buffer.from(`{"data":[${many('[],')}1],"role":"pii"}`), kept);
    expect(body).toEqual({ data: expect.any(JsonText), role: 'pii' });
    expect(parseJsonBody(Buffer.from('[1]'), kept)).toEqual([1]);
  });

  it.each([
    ['another is', `{"data":1,"role":[${many('[],')}1]}`, 'holds more than 65536 bytes beside data'],
    ['it has another name', `{"Data":[${many('[],')}1]}`, 'holds more than 65536 bytes beside data'],
    ['there are many', `{"data":1,${many('"":0,')}"a":1}`, 'has more than 100 members'],
    ['it is a list', `[${many('[],')}1]`, 'is not a JSON object in UTF-8 of at most 64 levels'],
    ['it ends early', `{"data":[${many('[],')}1]`, 'is not a JSON object in UTF-8 of at most 64 levels'],
  ])('is refused unparsed where %s', (_, text, rule) => {
    expect(refusalOf(Buffer.from(text), kept)).toEqual({ body: [rule] });
  });
});

describe('isJsonMediaType', () => {
  it.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])(
    'takes %s',
    (type) => expect(isJsonMediaType(type)).toBe(true),
  );
  it.each(['', 'text/json', 'application/jsonx', 'application/json; charset=latin1', 'multipart/form-data'])(
    'refuses %s',
    (type) => expect(isJsonMediaType(type)).toBe(false),
  );
  it('refuses a long one without looking through it', () => {
    expect(isJsonMediaType(`application/json${' '.repeat(1_000_000)}x`)).toBe(false);
  });
});
