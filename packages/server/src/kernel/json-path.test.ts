import { describe, expect, it } from 'vitest';
import { parseJsonPath } from './json-path.js';

describe('parseJsonPath', () => {
  it.each([
    ['$', []],
    ['$.a_1', [{ kind: 'name', name: 'a_1', deep: false }]],
    [
      "$['it\\'s'][3]",
      [
        { kind: 'name', name: "it's", deep: false },
        { kind: 'index', index: 3, deep: false },
      ],
    ],
    [
      '$..["a.b"].*',
      [
        { kind: 'name', name: 'a.b', deep: true },
        { kind: 'any', deep: false },
      ],
    ],
    ['$..[*]', [{ kind: 'any', deep: true }]],
    ['$.grüße', [{ kind: 'name', name: 'grüße', deep: false }]],
    ["$['\\u00e9']", [{ kind: 'name', name: 'é', deep: false }]],
  ])('%s', (path, steps) => {
    expect(parseJsonPath(path)).toEqual(steps);
  });

  it.each([
    ['a.b', /begins with \$/],
    ['$.', /unexpected end at character 3/],
    ['$a', /unexpected "a" at character 2/],
    ['$[', /unexpected end/],
    ['$.a b', /unexpected " " at character 4/],
    ['$.1a', /unexpected "1"/],
    ["$['a", /not closed/],
    ["$['a'", /unexpected end/],
    ['$[?(@.a)]', /filters/],
    ['$[-1]', /negative/],
    ['$[0:2]', /slices and unions/],
    ['$[0,1]', /slices and unions/],
    [`$${'.a'.repeat(33)}`, /at most 32 steps/],
  ])('refuses %s', (path, message) => {
    expect(() => parseJsonPath(path)).toThrow(message);
  });
});
