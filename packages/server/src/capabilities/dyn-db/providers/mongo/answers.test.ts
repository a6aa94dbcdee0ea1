import { MongoServerError } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { failureOf } from './failures.js';
import { primaryOf } from './primary.js';
import { readPrivileges } from './privileges.js';

const member = { setName: 'rs0', isWritablePrimary: false, secondary: true };

describe('the primary that a server names', () => {
  it('is where it was asked, or elsewhere', () => {
    expect(primaryOf({ ...member, isWritablePrimary: true, primary: '169.254.169.254:27017' }, 'rs0')).toBe(
      null,
    );
    expect(primaryOf({ ...member, primary: 'db-1.internal:27018' }, 'rs0')).toEqual({
      host: 'db-1.internal',
      port: 27_018,
    });
    expect(primaryOf({ ...member, primary: '[fd00::1]:27017' }, 'rs0')).toEqual({
      host: 'fd00::1',
      port: 27_017,
    });
  });

  it.each([
    '',
    'db-1',
    'db-1:0',
    'db-1:65536',
    'db-1:27017,db-2:27017',
    '::1:27017',
    'db-1:27017/admin?x=1',
    `${'a'.repeat(254)}:1`,
  ])('is not %j', (primary) => {
    expect(() => primaryOf({ ...member, primary }, 'rs0')).toThrow(/no host with a port/);
  });

  it('is unavailable while there is none, and refused in another set', () => {
    expect(() => primaryOf(member, 'rs0')).toThrow(
      expect.objectContaining({ type: 'dependency_unavailable' }),
    );
    expect(() => primaryOf({ ...member, primary: 'a:1' }, 'rs1')).toThrow(
      /no member of a replica set named "rs1"/,
    );
    expect(() => primaryOf({ isWritablePrimary: true }, 'rs0')).toThrow(/no member/);
  });
});

describe('privileges', () => {
  const privilegesOf = (...told: unknown[]) =>
    readPrivileges({ authInfo: { authenticatedUserPrivileges: told } });

  it('are of one database, of all, or of the cluster', () => {
    const known = privilegesOf(
      { resource: { db: 'shop', collection: '' }, actions: ['createUser'] },
      { resource: { db: '', collection: '' }, actions: ['dropUser'] },
      { resource: { db: 'shop', collection: 'orders' }, actions: ['grantRole'] },
      { resource: { cluster: true }, actions: ['killAnySession'] },
      null,
      { resource: null },
    );
    expect(known?.may('createUser', 'shop')).toBe(true);
    expect(known?.may('createUser', 'other')).toBe(false);
    expect(known?.may('dropUser', 'other')).toBe(true);
    expect(known?.may('grantRole', 'shop')).toBe(false);
    expect(known?.mayOnCluster('killAnySession')).toBe(true);
    expect(known?.mayOnCluster('createUser')).toBe(false);
    expect(privilegesOf({ resource: { anyResource: true }, actions: ['x'] })?.may('x', 'shop')).toBe(true);
  });

  it('are unknown where the server tells none', () => {
    expect(readPrivileges({ authInfo: {} })).toBe(null);
    expect(readPrivileges({})).toBe(null);
    expect(privilegesOf()).toBe(null);
  });
});

describe('an error of the server', () => {
  const refusal = (fields: object) =>
    failureOf(new MongoServerError({ errmsg: 'createUser: "x", pwd: "hunter2"', ...fields }));

  it('is told by its code and our words', () => {
    expect(refusal({ code: 13, codeName: 'Unauthorized' }).publicMessage).toBe(
      'The database refused (13): the admin may not do this',
    );
    expect(refusal({ code: 9_999, codeName: 'Odd' }).publicMessage).toBe('The database refused (9999): Odd');
    for (const error of [refusal({ code: 1, codeName: 'pwd: "hunter2"' }), refusal({ code: 'hunter2' })]) {
      expect(error.type).toBe('database_error');
      expect(JSON.stringify([error, error.stack, error.cause, error.detail])).not.toContain('hunter2');
    }
  });

  it('of a primary that steps down is to be tried again', () => {
    expect(refusal({ code: 189, codeName: 'PrimarySteppedDown' }).type).toBe('dependency_unavailable');
  });
});
