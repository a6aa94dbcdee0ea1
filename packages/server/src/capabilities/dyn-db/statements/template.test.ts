import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import type { Dialect } from './scanner.js';
import {
  expirationText,
  parseCreation,
  parseRevocation,
  renderCreation,
  renderRevocation,
} from './template.js';

const PASSWORD = 'S3cretS3cretS3cretS3cretS3cret00';
const VALUES = {
  username: 'kc_user_abc',
  password: new Secret(PASSWORD),
  expiresAtMs: Date.parse('2026-01-02T03:04:05.001Z'),
  database: 'app',
};
const BOTH = `CREATE ROLE "{{username}}" PASSWORD '{{password}}'`;

function rendered(sql: string, dialect: Dialect = 'postgres'): string[] {
  return renderCreation(parseCreation(sql, dialect), VALUES).map((statement) => statement.reveal());
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect((error as AppError).type).toBe('validation_error');
    return (error as AppError).message;
  }
  throw new Error('was not refused');
}

const refusedCreation = (sql: string, dialect: Dialect = 'postgres') =>
  refusal(() => parseCreation(sql, dialect));

describe('placeholders', () => {
  it('take their values', () => {
    expect(
      rendered(`CREATE ROLE "{{ name }}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';
        GRANT CONNECT ON DATABASE "{{database}}" TO {{username}};`),
    ).toEqual([
      `CREATE ROLE "kc_user_abc" LOGIN PASSWORD '${PASSWORD}' VALID UNTIL '2026-01-02 03:04:06+00'`,
      '\n        GRANT CONNECT ON DATABASE "app" TO kc_user_abc',
    ]);
  });

  it('stand in DO blocks, E strings and all quotes of mysql', () => {
    expect(rendered(`DO $$ BEGIN EXECUTE 'x {{username}}; {{password}}'; END $$`)).toEqual([
      `DO $$ BEGIN EXECUTE 'x kc_user_abc; ${PASSWORD}'; END $$`,
    ]);
    expect(rendered(`SELECT E'it\\'s {{password}}', {{username}}`)).toEqual([
      `SELECT E'it\\'s ${PASSWORD}', kc_user_abc`,
    ]);
    expect(
      rendered(
        "CREATE USER `{{username}}`@'%' IDENTIFIED BY \"{{password}}\"; GRANT x TO {{name}}@'%'",
        'mysql',
      ),
    ).toEqual([`CREATE USER \`kc_user_abc\`@'%' IDENTIFIED BY "${PASSWORD}"`, " GRANT x TO kc_user_abc@'%'"]);
  });

  it.each([
    ['{{user}}', 'unknown placeholder'],
    ['{{ }}', 'unknown placeholder'],
    ['{{username', 'unknown placeholder'],
    ["'{{username'}}", 'unknown placeholder'],
    ['{{{username}}}', 'unknown placeholder'],
    ['{{user name}}', 'unknown placeholder'],
    ['{{Username}}', 'unknown placeholder'],
    ['{{constructor}}', 'unknown placeholder'],
    ["'{{1,2},{3,4}}'", 'put a space between them'],
    ['-- {{username}}\n', 'in a comment'],
    ['/* {{password}} */', 'in a comment'],
    ["U&'{{username}}'", "U&''"],
    ['U&"{{username}}"', "U&''"],
    ["E'\\{{username}}'", 'backslash'],
    ['$x$ {{username}}$x$', '$ beside'],
    [`$x$ \${{username}} $x$`, '$ beside'],
    ['app_{{username}}', 'part of a word'],
    ["{{username}}'x'", 'part of a word'],
    ['U&{{username}}', 'part of a word'],
    ['{{username}}{{username}}', 'part of a word'],
    ['PASSWORD {{password}}', 'in quotes'],
    ['DATABASE {{database}}', 'in quotes'],
    ['"{{password}}"', 'in a string'],
    ['"{{expiration}}"', 'in a string'],
  ])('%s is refused', (sql, rule) => {
    expect(refusedCreation(`${BOTH}; SELECT ${sql}`)).toContain(rule);
  });

  it('must be there', () => {
    expect(refusedCreation(`SELECT '{{password}}'`)).toBe('creation_sql: must contain {{username}}');
    expect(refusedCreation('SELECT {{username}}')).toBe('creation_sql: must contain {{password}}');
    const revocation = (sql: string) => refusal(() => parseRevocation(sql, 'postgres'));
    expect(revocation('SELECT 1')).toBe('revocation_sql: must contain {{username}}');
    expect(revocation(`SELECT {{username}}, '{{password}}'`)).toContain('not known at revocation');
    expect(revocation(`SELECT {{username}}, '{{expiration}}'`)).toContain('not known at revocation');
  });
});

describe('hostile texts', () => {
  it.each<[Dialect, string, string]>([
    ['postgres', "SELECT 'x", 'is not closed'],
    ['postgres', "SELECT E'x\\'", 'is not closed'],
    ['postgres', 'SELECT "x', 'is not closed'],
    ['postgres', 'SELECT $a$ x $b$', 'is not closed'],
    ['postgres', 'SELECT $a$ x $A$', 'is not closed'],
    ['postgres', '/* /* */', 'is not closed'],
    ['postgres', "SELECT E'a'\n'b\\';--'", 'one piece'],
    ['postgres', "SELECT U&'a' -- c\n'b'", 'one piece'],
    ['postgres', "SELECT 1E'\\'", 'a number needs a space'],
    ['postgres', 'SELECT $1$a$', 'a number needs a space'],
    ['postgres', '-- x\rDROP ROLE x', 'control characters|carriage return'],
    ['postgres', 'SELECT 1\0', 'control characters'],
    ['postgres', 'SELECT \ud800', 'control characters'],
    ['postgres', 'COMMIT', 'one transaction'],
    ['postgres', '/* x */ begin', 'one transaction'],
    ['mysql', "SELECT 'x\\'", 'is not closed'],
    ['mysql', 'SELECT `x', 'is not closed'],
    ['mysql', '/* /* */ */ /*', 'is not closed'],
    ['mysql', '/*!50000 DROP USER x */', 'that the server runs'],
    ['mysql', '/*M!100000 DROP USER x */', 'that the server runs'],
    ['mysql', 'SELECT $$x$$', 'not supported'],
    ['mysql', 'DELIMITER //', 'mysql client'],
  ])('%s: %s', (dialect, sql, rule) => {
    expect(refusedCreation(`${BOTH}; ${sql}`, dialect === 'mysql' ? 'mysql' : 'postgres')).toMatch(
      new RegExp(rule),
    );
  });

  it.each<[Dialect, string, number]>([
    ['postgres', "SELECT 'a;b'", 1],
    ['postgres', "SELECT '\\'; SELECT '''", 2],
    ['postgres', "SELECT '\\'; SELECT 'x'", 2],
    ['postgres', "SELECT E'\\'; '", 1],
    ['postgres', "SELECT 'a''; b'", 1],
    ['postgres', 'SELECT ";"";"', 1],
    ['postgres', "SELECT U&'\\'; SELECT 1", 2],
    ['postgres', 'SELECT $$;$x$;$$', 1],
    ['postgres', 'SELECT $x$;$$;$x$', 1],
    ['postgres', 'SELECT a$x$; SELECT b$x$', 2],
    ['postgres', '/* ; /* ; */ ; */ SELECT 1', 1],
    ['postgres', 'SELECT 1--;\n; SELECT 2', 2],
    ['postgres', 'SELECT 1 # 2; SELECT 3', 2],
    ['postgres', "SELECT xE'\\'; SELECT 1", 2],
    ['postgres', '; ; SELECT 1 ;; -- end\n;', 1],
    ['postgres', "SELECT `a;'b`'", 2],
    ['mysql', "SELECT '\\'; '", 1],
    ['mysql', 'SELECT "\\";"', 1],
    ['mysql', "SELECT `;``'`", 1],
    ['mysql', 'SELECT 1 # ; \n; SELECT 2', 2],
    ['mysql', 'SELECT 1--1; SELECT 2', 2],
    ['mysql', 'SELECT 1 -- ;\n', 1],
    ['mysql', '/* /* ; */ SELECT 1; SELECT 2', 2],
  ])('%s: %s has %i', (dialect, sql, count) => {
    const base = dialect === 'mysql' ? "CREATE USER '{{username}}' IDENTIFIED BY '{{password}}'" : BOTH;
    // The third is one that is not closed.
    if (sql.endsWith("'''")) expect(refusedCreation(`${base}; ${sql}`)).toContain('not closed');
    else expect(rendered(`${base}; ${sql}`, dialect)).toHaveLength(count + 1);
  });

  it('is bounded', () => {
    const filler = (bytes: number) => `${BOTH} --${'é'.repeat(bytes)}`.slice(0, bytes);
    expect(refusedCreation(filler(LIMITS.roleStatementsBytesMax))).toContain('at most 16384 bytes');
    const many = (count: number) => [BOTH, ...Array(count - 1).fill('SELECT 1')].join(';');
    expect(rendered(many(LIMITS.roleStatementsMax))).toHaveLength(LIMITS.roleStatementsMax);
    expect(refusedCreation(many(LIMITS.roleStatementsMax + 1))).toContain('at most 50 statements');
    expect(refusedCreation(' ; -- nothing\n')).toContain('must contain a statement');
  });
});

describe('rendering', () => {
  it.each([null, '', 'a"b', "a'b", 'a\\b', 'a`b', 'a$b', 'a--b', '-a', 'a b', 'a\nb', 'x'.repeat(65)])(
    'a database called %j has no place in a statement',
    (database) => {
      const template = parseCreation(`${BOTH}; GRANT CONNECT ON DATABASE "{{database}}" TO x`, 'postgres');
      const message = refusal(() => renderCreation(template, { ...VALUES, database }));
      expect(message).toMatch(/^database_name: must be /);
      expect(renderCreation(parseCreation(BOTH, 'postgres'), { ...VALUES, database })).toHaveLength(1);
    },
  );

  it.each(['kc_user_', 'admin', 'kc_user_A', 'kc_user_a"', "kc_user_a'", 'kc_user_a b'])(
    'the user name %j is a bug',
    (username) => {
      const template = parseRevocation('DROP ROLE {{username}}', 'postgres');
      expect(() => renderRevocation(template, { username, database: null })).toThrow('other characters');
    },
  );

  it('a password of other characters is a bug, and is not in its message', () => {
    const template = parseCreation(BOTH, 'postgres');
    const act = () => renderCreation(template, { ...VALUES, password: new Secret("it's") });
    expect(act).toThrow('a generated password has other characters');
  });

  it('shows itself to nobody who prints it', () => {
    const statements = renderCreation(parseCreation(BOTH, 'postgres'), VALUES);
    expect(inspect(statements, { depth: 9 }) + JSON.stringify(statements)).not.toContain(PASSWORD);
  });

  it('a revocation knows the user and the database', () => {
    const template = parseRevocation(`DROP ROLE {{username}} /* ; */; SELECT '{{database}}'`, 'postgres');
    expect(renderRevocation(template, VALUES).map((statement) => statement.reveal())).toEqual([
      'DROP ROLE kc_user_abc /* ; */',
      " SELECT 'app'",
    ]);
  });

  it('the second of the end is never before the lease ends', () => {
    expect(expirationText(Date.parse('2026-12-31T23:59:59.000Z'))).toBe('2026-12-31 23:59:59+00');
    expect(expirationText(Date.parse('2026-12-31T23:59:59.001Z'))).toBe('2027-01-01 00:00:00+00');
  });
});
