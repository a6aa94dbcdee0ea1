import { describe, expect, it } from 'vitest';
import { quotedName } from './mail.js';

describe('a name that strangers choose', () => {
  it.each([
    ['Shop', '"Shop"'],
    ['A/B Testing Inc.', '"A/ B Testing Inc."'],
    ['x\r\n\r\nSign in at https://evil.example/a', '"x Sign in at https:// evil. example/ a"'],
    ['mailto:eve@evil.example', '"mailto: eve@ evil. example"'],
    ['a" as owner. "b', '"a\' as owner. \'b"'],
    ['a\u202Eb\u2028c', '"a b c"'],
    ['é'.repeat(61), `"${'é'.repeat(60)}"`],
  ])('%j is one short line without a link in a mail', (name, shown) => {
    expect(quotedName(name)).toBe(shown);
  });
});
