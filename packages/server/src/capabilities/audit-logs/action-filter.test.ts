import { describe, expect, it } from 'vitest';
import { parseActionFilter, verbOf } from './action-filter.js';

describe('parseActionFilter', () => {
  it.each([
    ['vault.create', 'action', 'vault.create'],
    ['vault.created', 'action', 'vault.create'],
    ['created', 'verb', 'create'],
    ['tested', 'verb', 'test'],
    ['denied', 'verb', 'deny'],
    ['cancelled', 'verb', 'cancel'],
    ['read', 'verb', 'read'],
    ['auth.login_failed', 'action', 'auth.login_failed'],
    ['dyn_db.lease.errored', 'action', 'dyn_db.lease.errored'],
  ])('%s looks in %s for %s', (text, column, spelling) => {
    const filter = parseActionFilter(text);
    expect(filter.column).toBe(column);
    expect(filter.anyOf).toContain(spelling);
  });

  it('takes the last part as the verb', () => {
    expect([verbOf('vault.token.delete'), verbOf('create')]).toEqual(['delete', 'create']);
  });
});
