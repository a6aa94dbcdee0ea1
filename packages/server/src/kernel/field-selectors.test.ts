import { describe, expect, it } from 'vitest';
import { parseFieldSelector, requireFieldSelectors } from './field-selectors.js';
import { LIMITS } from './limits.js';

const refused = (texts: string[]) => {
  try {
    requireFieldSelectors('selectors', texts);
    return null;
  } catch (error) {
    return error;
  }
};

describe('a selector', () => {
  it.each(['$', '$.a', '$.a.b[*].c', '$[0].a', "$['a b'].c", '$.*'])('may be %s', (text) => {
    expect(refused([text])).toBeNull();
  });

  it.each([
    ['a', /begins with \$/],
    ['$..a', /\.\. is not available/],
    ['$.a[?(@.b)]', /filters/],
    ['$[0:2]', /slices/],
    [`$.${'a'.repeat(LIMITS.fieldSelectorCharactersMax)}`, /at most 512 characters/],
    [`$${'.a'.repeat(33)}`, /at most 32 steps/],
  ])('is refused: %s', (text, message) => {
    expect(() => parseFieldSelector(text)).toThrow(message);
    expect(refused(['$.good', text])).toMatchObject({
      type: 'validation_error',
      fields: { 'selectors[1]': [expect.stringMatching(message)] },
    });
  });

  it('is one of 1 to 50', () => {
    for (const count of [0, LIMITS.fieldSelectorsMax + 1])
      expect(refused(Array.from({ length: count }, () => '$.a'))).toMatchObject({
        fields: { selectors: ['must be 1 to 50 selectors'] },
      });
    expect(refused(Array.from({ length: LIMITS.fieldSelectorsMax }, () => '$.a'))).toBeNull();
  });
});
