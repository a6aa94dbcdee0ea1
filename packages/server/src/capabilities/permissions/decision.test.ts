import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Grant } from '../../kernel/principal.js';
import { decide, firstBeyond, type Rule } from './decision.js';
import { KEY_PERMISSIONS, USER_PERMISSIONS } from './names.js';

const rule = (resourceType: string, actions: string[], more: Partial<Rule> = {}): Rule => ({
  resourceType,
  actions,
  effect: 'allow',
  resource: null,
  ...more,
});
const deny = (resourceType: string, actions: string[], resource: string | null = null) =>
  rule(resourceType, actions, { effect: 'deny', resource });
const keyWith = (...rules: Rule[]) => decide(rules, KEY_PERMISSIONS);
const held = (...rules: Rule[]) => keyWith(...rules).grants.map(({ permission }) => permission);

describe('a decision', () => {
  it('denies what no rule allows', () => {
    expect(keyWith().grants).toEqual([]);
    expect(keyWith().may('vaults:read')).toBe(false);
    expect(keyWith(rule('vaults', ['write'])).may('vaults:read')).toBe(false);
  });

  it('knows no name that is not in the list', () => {
    expect(keyWith(rule('vaults', ['fly']), rule('*', ['*'])).may('vaults:fly')).toBe(false);
    expect(keyWith(rule('constructor', ['*'])).grants).toEqual([]);
  });

  it('gives a family by its wildcard, and a verb of every family', () => {
    expect(held(rule('pki', ['*']))).toEqual(['pki:read', 'pki:write', 'pki:issue', 'pki:revoke']);
    expect(held(rule('*', ['mint']))).toEqual(['dyn-db:mint', 'ai-gateway:mint']);
  });

  it('gives agent:create by no wildcard, only by its name', () => {
    for (const wide of [rule('*', ['*']), rule('agent', ['*']), rule('*', ['create'])])
      expect(keyWith(wide).may('agent:create')).toBe(false);
    expect(held(rule('*', ['*']))).toHaveLength(KEY_PERMISSIONS.size - 1);
    expect(keyWith(rule('agent', ['create'])).may('agent:create')).toBe(true);
    expect(keyWith(rule('agent', ['create']), deny('*', ['*'])).may('agent:create')).toBe(false);
  });

  it('gives a key nothing of the dashboard', () => {
    expect(keyWith(rule('*', ['*']), rule('tenant', ['delete'])).may('tenant:delete')).toBe(false);
    expect(decide([rule('*', ['*'])], USER_PERMISSIONS).may('tenant:delete')).toBe(true);
  });

  it.each([
    ['before', [deny('vaults', ['read']), rule('vaults', ['*'])]],
    ['after', [rule('vaults', ['*']), deny('vaults', ['read'])]],
    ['by a wildcard', [rule('vaults', ['read']), deny('*', ['read'])]],
  ])('lets deny win, written %s', (_, rules) => {
    expect(keyWith(...rules).may('vaults:read')).toBe(false);
    expect(held(...rules)).not.toContain('vaults:read');
  });
});

describe('a rule of one resource', () => {
  const cards = rule('vaults', ['detokenize'], { resource: 'cards' });

  it('opens the gate, and that resource alone', () => {
    const { may, grants } = keyWith(cards);
    expect([may('vaults:detokenize'), may('vaults:tokenize')]).toEqual([true, false]);
    expect([may('vaults:detokenize', 'cards'), may('vaults:detokenize', 'card')]).toEqual([true, false]);
    expect(grants).toEqual([{ permission: 'vaults:detokenize', resource: 'cards' }]);
  });

  it('of a connection opens its roles; of one role, that role', () => {
    const connection = keyWith(rule('dyn-db', ['mint'], { resource: 'orders' }));
    expect(connection.may('dyn-db:mint', 'orders/readonly')).toBe(true);
    expect(connection.may('dyn-db:mint', 'orders2/readonly')).toBe(false);
    const role = keyWith(rule('dyn-db', ['mint'], { resource: 'orders/readonly' }));
    expect(role.may('dyn-db:mint', 'orders/readonly')).toBe(true);
    expect(role.may('dyn-db:mint', 'orders/admin')).toBe(false);
    expect(role.may('dyn-db:mint', 'orders')).toBe(false);
  });

  it('denied, leaves the others', () => {
    const { may, grants } = keyWith(rule('vaults', ['*']), deny('vaults', ['detokenize'], 'cards'));
    expect([may('vaults:detokenize', 'cards'), may('vaults:detokenize', 'notes')]).toEqual([false, true]);
    expect(grants.map(({ permission }) => permission)).not.toContain('vaults:detokenize');
  });

  it('denied a role of it, is not handed on as a whole', () => {
    const { may, grants } = keyWith(
      rule('dyn-db', ['mint'], { resource: 'orders' }),
      deny('dyn-db', ['mint'], 'orders/admin'),
    );
    expect(may('dyn-db:mint', 'orders/readonly')).toBe(true);
    expect(may('dyn-db:mint', 'orders/admin')).toBe(false);
    expect(grants).toEqual([]);
  });

  it('allows nothing and denies all where nobody asks for the resource', () => {
    expect(keyWith(rule('secrets', ['read'], { resource: 'x' })).may('secrets:read')).toBe(false);
    expect(keyWith(rule('secrets', ['read']), deny('secrets', ['read'], 'x')).may('secrets:read')).toBe(
      false,
    );
  });
});

describe('firstBeyond', () => {
  const grant = (permission: string, resource: string | null = null): Grant => ({ permission, resource });

  it.each<[string, Grant[], Grant[], Grant | undefined]>([
    ['the same', [grant('a:b')], [grant('a:b')], undefined],
    ['one more', [grant('a:b')], [grant('a:b'), grant('a:c')], grant('a:c')],
    ['one resource of all', [grant('a:b')], [grant('a:b', 'x')], undefined],
    ['all of one resource', [grant('a:b', 'x')], [grant('a:b')], grant('a:b')],
    ['another resource', [grant('a:b', 'x')], [grant('a:b', 'y')], grant('a:b', 'y')],
    ['a role of a connection', [grant('a:b', 'x')], [grant('a:b', 'x/r')], undefined],
    ['the connection of a role', [grant('a:b', 'x/r')], [grant('a:b', 'x')], grant('a:b', 'x')],
    ['nothing', [], [], undefined],
  ])('%s', (_, held, asked, beyond) => {
    expect(firstBeyond(held, asked)).toEqual(beyond);
  });
});

/** Every answer follows from the rules one by one, read as the contract says them. */
it('agrees with the rules read one by one, and never hands on what it does not hold', () => {
  const rules = fc.array(
    fc.record({
      resourceType: fc.constantFrom('*', 'vaults', 'dyn-db', 'agent', 'log'),
      actions: fc.array(fc.constantFrom('*', 'read', 'detokenize', 'mint', 'create', 'list'), {
        maxLength: 3,
      }),
      effect: fc.constantFrom<'allow' | 'deny'>('allow', 'allow', 'deny'),
      resource: fc.constantFrom(null, null, 'a', 'a/b', 'c'),
    }),
    { maxLength: 6 },
  );
  const asked = fc.constantFrom(
    'vaults:read',
    'vaults:detokenize',
    'dyn-db:mint',
    'agent:create',
    'log:list',
  );
  const narrowable = ['vaults:detokenize', 'dyn-db:mint'];

  function expected(all: readonly Rule[], permission: string, resource: string): boolean {
    const [family, verb] = permission.split(':');
    const isNamed = (one: Rule) => one.resourceType === family && one.actions.includes(verb!);
    const isWild = (one: Rule) =>
      (one.resourceType === '*' || one.resourceType === family) &&
      one.actions.some((action) => action === '*' || action === verb);
    const reaches = (one: Rule) =>
      one.resource === null || one.resource === resource || one.resource === resource.split('/')[0];
    const allows = (one: Rule) =>
      (permission === 'agent:create' ? isNamed(one) : isWild(one)) &&
      (one.resource === null || (narrowable.includes(permission) && reaches(one)));
    const denies = (one: Rule) => isWild(one) && (!narrowable.includes(permission) || reaches(one));
    return (
      all.some((one) => one.effect === 'allow' && allows(one)) &&
      !all.some((one) => one.effect === 'deny' && denies(one))
    );
  }

  fc.assert(
    fc.property(rules, asked, fc.constantFrom('a', 'a/b', 'a/d', 'c', 'e'), (all, permission, resource) => {
      const { may, grants } = keyWith(...all);
      expect(may(permission, resource)).toBe(expected(all, permission, resource));
      for (const { permission: name, resource: at } of grants) {
        for (const one of at === null ? ['a', 'a/b', 'e'] : [at]) expect(may(name, one)).toBe(true);
      }
    }),
  );
});
