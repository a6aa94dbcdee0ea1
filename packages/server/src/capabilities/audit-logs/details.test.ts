import { describe, expect, it } from 'vitest';
import type { Principal } from '../../kernel/principal.js';
import { mayReadDetails } from './details.js';

const KEY = { kind: 'api_key', userId: null } as Principal;
const user = (role?: string) => ({ ...KEY, userId: 'u', ...(role && { role }) }) as unknown as Principal;

describe('who reads details', () => {
  it('a key does', () => {
    expect(mayReadDetails(KEY)).toBe(true);
  });

  it.each([
    ['owner', true],
    ['admin', true],
    ['developer', false],
    ['viewer', false],
    [undefined, false],
  ])('a user who is %s: %s', (role, expected) => {
    expect(mayReadDetails(user(role))).toBe(expected);
  });
});
