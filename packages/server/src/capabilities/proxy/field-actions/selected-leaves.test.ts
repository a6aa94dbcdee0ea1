import { describe, expect, it } from 'vitest';
import { replacedLeaves, selectedLeaves } from './selected-leaves.js';

const picked = (body: string, ...selectors: string[]) => {
  const bytes = Buffer.from(body);
  return selectedLeaves(bytes, selectors).map(({ start, end }) => bytes.toString('utf8', start, end));
};

describe('selectors', () => {
  const BODY = '{"a":{"b":[{"c":1},{"c":"2"},{"d":3}],"x":[[4,5],[6]]},"z":null}';
  it.each([
    [['$.a.b[*].c'], ['1', '"2"']],
    [['$.a.b[1].c'], ['"2"']],
    [['$.a.b[9].c'], []],
    [['$.a.x[0][1]'], ['5']],
    [['$.a.x[*][0]'], ['4', '6']],
    [['$.a.x'], ['4', '5', '6']],
    [['$.a.*[*].d'], ['3']],
    [["$['a']['b'][0]"], ['1']],
    [['$'], ['1', '"2"', '3', '4', '5', '6']],
    [['$.z'], []],
    [
      ['$.a.b[*].c', '$.a.b[1].c', '$.a.b'],
      ['1', '"2"', '3'],
    ],
    [['$.b', '$.a.c'], []],
  ])('%j pick %j, each once', (selectors, expected) => {
    expect(picked(BODY, ...selectors)).toEqual(expected);
  });

  it('pick members that stand twice, and names that are escaped', () => {
    expect(picked('{"a":1,"\\u0061":2,"a":{"a":3}}', '$.a')).toEqual(['1', '2', '3']);
  });

  it('pick a text alone', () => {
    expect(picked('"x"', '$')).toEqual(['"x"']);
    expect(picked('"x"', '$.a')).toEqual([]);
  });

  it('tell what is no JSON', () => {
    expect(() => picked('{', '$')).toThrow(/not JSON/);
    expect(() => selectedLeaves(Buffer.from([0x22, 0xff, 0x22]), ['$'])).toThrow(/UTF-8/);
  });
});

it('what is replaced leaves the rest, and nothing replaced leaves the body itself', () => {
  const bytes = Buffer.from(' [1, "a" ,null] ');
  const leaves = selectedLeaves(bytes, ['$']);
  expect(replacedLeaves(bytes, leaves, ['"one"', null]).toString()).toBe(' ["one", "a" ,null] ');
  expect(replacedLeaves(bytes, leaves, [null, null])).toBe(bytes);
});
