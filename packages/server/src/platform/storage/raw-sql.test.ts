import { type RawBuilder, RawNode, sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { assertExpression, assertFunctionName } from './raw-sql.js';

function check(raw: RawBuilder<unknown>): void {
  const node = raw.toOperationNode();
  if (!RawNode.is(node)) throw new Error('not raw');
  assertExpression(node);
}

describe('assertExpression', () => {
  it.each([
    sql`amount + 1`,
    sql`coalesce(${sql.ref('a.b')}, ${1})`,
    sql`case when "amount" > 3 then 'it''s' else null end`,
    sql`(amount between 1 and 2) or not (name in ('a', 'b'))`,
    sql`count(*) * 1.5`,
    sql`asc`,
  ])('lets an expression through %#', (raw) => {
    expect(() => check(raw)).not.toThrow();
  });

  it.each([
    ['a subquery', sql`(select 1)`],
    ['a subquery in capitals', sql`EXISTS (SELECT 1 FROM notes)`],
    ['a table', sql`id in (table notes)`],
    ['a union', sql`1 union all values (1)`],
    ['a join', sql`a join b on true`],
    ['a closing parenthesis', sql`1 = 1) or (1 = 1`],
    ['an open parenthesis', sql`(1 = 1`],
    ['a comment', sql`1 -- `],
    ['a block comment', sql`1 /* */`],
    ['a list', sql`1, tenant_id = 'x'`],
    ['a second statement', sql`1; delete`],
    ['an open string', sql`'a`],
    ['an open name', sql`"a`],
    ['a backslash, which ends strings elsewhere', sql`'a\\' or 1 = 1`],
    ['dollar quotes', sql`$$a$$`],
    ['brackets as quotes', sql`[a]`],
    ['backticks as quotes', sql.raw('`a`')],
    ['a function that reads tables by name', sql`query_to_xml('x')`],
    ['a function with a quoted name', sql`"query_to_xml"('x')`],
    ['a word put together from two', sql`1 in (${sql.raw('sel')}${sql.raw('ect')} 1)`],
    ['a nested fragment', sql`1 + ${sql`(select 1)`}`],
    ['a cast that is not portable', sql`1::text`],
    ['NUL', sql.raw('1\0')],
  ])('refuses %s', (_what, raw) => {
    expect(() => check(raw)).toThrow('raw SQL may only be an expression');
  });
});

describe('assertFunctionName', () => {
  it('knows what both databases have, and nothing that is not a name', () => {
    expect(() => assertFunctionName('COUNT')).not.toThrow();
    for (const name of ['pg_sleep', 'load_extension', 'count(*) from notes; --', '']) {
      expect(() => assertFunctionName(name)).toThrow('raw SQL may only be an expression');
    }
  });
});
