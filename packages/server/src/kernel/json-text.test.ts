import { describe, expect, it } from 'vitest';
import { membersOf } from './json-members.js';
import { JsonText, writeJson } from './json-text.js';

describe('members of a JSON object', () => {
  const membersIn = (text: string) => {
    const bytes = Buffer.from(text);
    return (
      membersOf(bytes, 4)?.map(({ name, start, end }) => [name, bytes.toString('utf8', start, end)]) ?? null
    );
  };

  it('are told by the place of their values, those of one name each', () => {
    const text = '\ufeff { "a" : [1, {"b":2}] , "\\u0061": "x,}" ,"c":{}, "d" :1e400 }';
    expect(membersIn(text)).toEqual([
      ['a', '[1, {"b":2}]'],
      ['a', '"x,}"'],
      ['c', '{}'],
      ['d', '1e400'],
    ]);
    expect(membersIn('{}')).toEqual([]);
  });

  it('are refused where they are more than are taken, whatever follows', () => {
    expect(membersIn('{"a":1,"a":2,"a":3,"a":4}')).toHaveLength(4);
    expect(() => membersIn('{"a":1,"a":2,"a":3,"a":4,"a":5,')).toThrow('has more than 4 members');
  });

  it.each(['[]', '[{"a":1}]', '"a"', '1', '', '{"a":1', '{"a":1}x', '{a:1}', `${'['.repeat(99)}`])(
    'are none of %s',
    (text) => expect(membersIn(text)).toBeNull(),
  );
});

describe('writeJson', () => {
  it('writes what JSON.stringify does', () => {
    const value = { a: [1, null, undefined, 'ż"\n'], b: { c: true, d: undefined, e: {} }, f: [] };
    expect(writeJson(value)).toBe(JSON.stringify(value));
  });

  it('puts JSON texts in as they are', () => {
    const text = new JsonText(Buffer.from('{ "n": 1e400 }'));
    expect(writeJson({ data: { x: [text] } })).toBe('{"data":{"x":[{ "n": 1e400 }]}}');
    expect(() => JSON.stringify({ text })).toThrow('written by writeJson');
  });
});
