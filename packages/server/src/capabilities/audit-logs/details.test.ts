import { describe, expect, it } from 'vitest';
import type { Principal, UserRole } from '../../kernel/principal.js';
import { mayReadDetails } from './details.js';

const user = (role: UserRole) => ({ kind: 'user', userId: 'u', role }) as Principal;

describe('who reads details', () => {
  it('a key does', () => {
    expect(mayReadDetails({ kind: 'api_key', userId: null } as Principal)).toBe(true);
  });

  it.each([
    ['owner', true],
    ['admin', true],
    ['developer', false],
    ['viewer', false],
  ] as const)('a user who is %s: %s', (role, expected) => {
    expect(mayReadDetails(user(role))).toBe(expected);
  });
});
