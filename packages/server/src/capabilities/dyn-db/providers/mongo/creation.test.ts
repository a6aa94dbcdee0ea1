import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.js';
import { resolveCreation, templateCreation } from './creation.js';
import { createMongoEngine } from './engine.js';

const engine = createMongoEngine(systemClock);
const group = (template: 'readonly' | 'readwrite') => ({
  name: `kc_tpl_${template}_0`,
  template,
  schemas: null,
});

describe('a creation document', () => {
  it.each([
    ['readonly', 'read'],
    ['readwrite', 'readWrite'],
  ] as const)('of the template %s has the role %s of the database, and stays with it', (template, role) => {
    const { creation, revocation } = engine.templateStatements(group(template), 'shop');
    engine.checkStatements(creation, revocation);
    expect(JSON.parse(creation)).toEqual({ db: 'shop', roles: [{ role, db: 'shop' }] });
    expect(resolveCreation(creation, 'another')).toEqual({ db: 'shop', roles: [{ role, db: 'shop' }] });
  });

  it('of a template needs the database', () => {
    expect(() => engine.templateStatements(group('readonly'), null)).toThrow(/database_name/);
  });

  it('reads a bare role name as MongoDB does, and takes the database of the connection', () => {
    const own = { role: 'audit', db: 'admin' };
    expect(resolveCreation(JSON.stringify({ roles: ['read', own] }), 'shop')).toEqual({
      db: 'shop',
      roles: [{ role: 'read', db: 'shop' }, own],
    });
    const placed = { db: '{{ database }}', roles: [{ role: 'read', db: '{{database}}' }, 'dbAdmin'] };
    expect(resolveCreation(JSON.stringify(placed), 'shop')).toEqual({
      db: 'shop',
      roles: [
        { role: 'read', db: 'shop' },
        { role: 'dbAdmin', db: 'shop' },
      ],
    });
  });

  it.each([
    ['', /must be a JSON document/],
    ['db.createUser({})', /must be a JSON document/],
    ['[]', /expected object/],
    ['null', /expected object/],
    ['{}', /roles/],
    ['{"roles": []}', /roles .*1/],
    [JSON.stringify({ roles: Array.from({ length: 51 }, () => 'read') }), /roles .*50/],
    ['{"roles": ["read"], "pwd": "x"}', /pwd/],
    ['{"roles": ["read"], "customData": {}}', /customData/],
    ['{"roles": ["read"], "mechanisms": ["PLAIN"]}', /mechanisms/],
    ['{"roles": [{"role": "read"}]}', /roles.0 must be a role name/],
    ['{"roles": [{"role": "read", "db": "a", "x": 1}]}', /roles.0 .*"x"/],
    ['{"roles": [{"role": {"$ne": 1}, "db": "a"}]}', /roles.0 must be a role name/],
    ['{"roles": [""]}', /roles.0 /],
    ['{"roles": ["{{username}}"]}', /roles.0/],
    ['{"roles": ["a\\u0000"]}', /roles.0/],
    ['{"db": "{{username}}", "roles": ["read"]}', /db takes no placeholder but/],
    ['{"db": "x{{database}}", "roles": ["read"]}', /db takes no placeholder but/],
    ['{"db": "", "roles": ["read"]}', /db must be a database name/],
    ['{"db": "a.b", "roles": ["read"]}', /db must be a database name/],
    ['{"db": "$external", "roles": ["read"]}', /db must be a database name/],
    [JSON.stringify({ db: 'ü'.repeat(32), roles: ['read'] }), /db must be a database name/],
    [`{"roles": ["read"]${' '.repeat(16_384)}}`, /16384 bytes/],
    ['['.repeat(16_000), /JSON document/],
  ])('that is %j is refused', (text, rule) => {
    expect(() => engine.checkStatements(text, '')).toThrow(rule);
    expect(() => engine.checkStatements(text, '')).toThrow(/^creation_sql: /);
  });

  it('is kept by a lease with its database written out', () => {
    const kept = (creation: string, database: string | null) =>
      engine.pinned?.({ creation, revocation: '', group: null }, database).creation ?? '';
    const shop = { db: 'shop', roles: [{ role: 'read', db: 'shop' }] };
    for (const text of ['{"roles": ["read"]}', '{"db": "{{database}}", "roles": ["read"]}'])
      expect(resolveCreation(kept(text, 'shop'), 'other')).toEqual(shop);
    expect(resolveCreation(kept('{"roles": ["read"]}', null), 'other').db).toBe('admin');
    // As long as they are taken, they may become longer.
    const long = JSON.stringify({ roles: Array.from({ length: 50 }, () => 'ä'.repeat(128)) });
    expect(resolveCreation(kept(long, 'd'.repeat(63)), 'other').roles).toHaveLength(50);
  });

  it('stands alone: a revocation is refused, since nothing would run it', () => {
    const creation = templateCreation('readonly', 'shop');
    engine.checkStatements(creation, ' \n');
    expect(() => engine.checkStatements(creation, '{"dropUser": 1}')).toThrow(
      /^revocation_sql: must be empty/,
    );
  });
});
