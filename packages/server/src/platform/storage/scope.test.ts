import { type Kysely, type OperationNode, sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestSqlite, type TestDatabase } from '../../testing/databases.js';
import { LIVE, NOTE_MIGRATIONS, NOTE_TABLES, type NotesDb, noteOf, OTHER } from '../../testing/notes.js';
import type { ScopedQueries, View } from './database.js';
import { verifyScope } from './scope-verifier.js';
import type { SystemReason } from './system-reasons.js';

/** Attempts to leave the scope. What a handle compiles is what it would run. */
describe('a scoped handle', () => {
  let db: TestDatabase;
  let view: View<NotesDb>;
  /** All of Kysely on a scoped handle, also what the types do not offer. */
  let queries: Kysely<NotesDb & Record<string, Record<string, unknown>>>;

  beforeAll(async () => {
    db = await openTestSqlite(NOTE_MIGRATIONS);
    view = db.view(NOTE_TABLES);
    queries = view.scoped(LIVE) as unknown as typeof queries;
  });
  afterAll(() => db.cleanup());

  it('adds the conditions of every table, by its alias', () => {
    const compiled = view
      .scoped(LIVE)
      .selectFrom('notes as n')
      .innerJoin('notes as m', 'm.id', 'n.id')
      .leftJoin('folders', 'folders.id', 'n.id')
      .select('n.id')
      .where('n.id', 'in', (eb) => eb.selectFrom('folders as f').select('f.id'))
      .compile();
    expect(compiled.sql).toBe(
      'select "n"."id" from "notes" as "n" ' +
        'inner join "notes" as "m" on ("m"."id" = "n"."id") and "m"."tenant_id" = ? and "m"."sandbox" = ? ' +
        'left join "folders" on ("folders"."id" = "n"."id") and "folders"."tenant_id" = ? ' +
        'where ("n"."id" in (select "f"."id" from "folders" as "f" where "f"."tenant_id" = ?)) ' +
        'and "n"."tenant_id" = ? and "n"."sandbox" = ?',
    );
    expect(compiled.parameters).toEqual(['tenant-a', 0, 'tenant-a', 'tenant-a', 'tenant-a', 0]);
  });

  it('gives its own scope to a query of another handle that is embedded in it', () => {
    const foreign = view.scoped(OTHER).selectFrom('notes').select('id');
    const embedded = [
      view.scoped(LIVE).selectFrom('folders').select('id').where('id', 'in', foreign),
      view.scoped(LIVE).selectFrom(foreign.as('f')).select('f.id'),
      view.scoped(LIVE).selectFrom('folders').select('id').union(foreign),
      view.scoped(LIVE).selectFrom('folders').innerJoin(foreign.as('f'), 'f.id', 'folders.id').select('f.id'),
      view.scoped(LIVE).updateTable('notes').set({ name: foreign }),
      view.scoped(LIVE).selectFrom('folders').select('id').where(sql<boolean>`id in (${foreign})`),
      view.scoped(LIVE).selectFrom('folders').select('id').orderBy(foreign),
      view.scoped(LIVE).deleteFrom('folders').returning(foreign.as('x')),
      view
        .scoped(LIVE)
        .selectFrom('folders')
        .select((eb) => eb.case().when('id', '=', 'a').then(foreign).end().as('x')),
    ];
    for (const query of embedded) {
      const { sql: text, parameters } = query.compile();
      const tables = [...text.matchAll(/(from|update|join) "notes"/g)];
      const conditions = [...text.matchAll(/"notes"\."tenant_id" = \?/g)];
      expect(tables.length).toBeGreaterThan(0);
      expect(conditions.length).toBe(tables.length);
      expect(parameters).not.toContain('tenant-b');
    }
  });

  const refused: readonly (readonly [string, () => { compile(): unknown }])[] = [
    ['a table that is not declared', () => queries.selectFrom('sqlite_master').selectAll()],
    ['a table of the object prototype', () => queries.selectFrom('constructor').selectAll()],
    ['a table in other letters', () => queries.selectFrom('NOTES').selectAll()],
    ['a table of a schema', () => queries.selectFrom('main.notes').selectAll()],
    ['a table without scope', () => queries.selectFrom('counters').selectAll()],
    [
      'a join of a table that is not declared',
      () => queries.selectFrom('notes').innerJoin('secret', 'secret.id', 'notes.id').selectAll(),
    ],
    [
      'a right join',
      () => queries.selectFrom('notes').rightJoin('folders', 'folders.id', 'notes.id').selectAll(),
    ],
    [
      'a full join',
      () => queries.selectFrom('notes').fullJoin('folders', 'folders.id', 'notes.id').selectAll(),
    ],
    ['a cross join', () => queries.selectFrom('notes').crossJoin('folders').selectAll()],
    [
      'a lateral join',
      () =>
        queries
          .selectFrom('notes')
          .leftJoinLateral(
            (eb) => eb.selectFrom('folders').selectAll().as('f'),
            (on) => on.onTrue(),
          )
          .selectAll(),
    ],
    ['a raw table', () => queries.selectFrom(sql<{ id: string }>`notes`.as('n')).selectAll()],
    ['a raw table reference', () => queries.selectFrom(sql.table('notes').as('n') as never).selectAll()],
    [
      'a table inside raw SQL',
      () => queries.selectFrom('folders').select(sql`(select max(id) from notes)`.as('x')),
    ],
    [
      'a table reference inside raw SQL',
      () => queries.selectFrom('folders').select(sql`${sql.table('notes')}`.as('x')),
    ],
    [
      'a raw way out of the condition',
      () => queries.selectFrom('notes').selectAll().where(sql<boolean>`1 = 1) or (1 = 1`),
    ],
    ['a raw end of the query', () => queries.selectFrom('notes').selectAll().modifyEnd(sql`or 1 = 1`)],
    ['a raw front of the query', () => queries.selectFrom('notes').selectAll().modifyFront(sql`1 as`)],
    ['a row lock', () => queries.selectFrom('notes').selectAll().forUpdate()],
    ['a lock that skips without locking', () => queries.selectFrom('notes').selectAll().skipLocked()],
    ['a lock that fails', () => queries.selectFrom('notes').selectAll().forUpdate().noWait()],
    ['a shared lock', () => queries.selectFrom('notes').selectAll().forShare().skipLocked()],
    ['a lock on some tables', () => queries.selectFrom('notes').selectAll().forUpdate('notes').skipLocked()],
    [
      'a common table expression',
      () =>
        queries
          .with('n', (q) => q.selectFrom('notes').selectAll())
          .selectFrom('n')
          .selectAll(),
    ],
    [
      'a writing common table expression',
      () =>
        queries
          .with('n', (q) => q.deleteFrom('notes').returningAll())
          .selectFrom('folders')
          .selectAll(),
    ],
    [
      'an insert from a select',
      () =>
        queries
          .insertInto('notes')
          .columns(['id', 'name', 'amount'])
          .expression(queries.selectFrom('notes').select(['id', 'name', 'amount'])),
    ],
    ['an insert of defaults', () => queries.insertInto('notes').defaultValues()],
    ['a replace', () => queries.replaceInto('notes').values(noteOf('a'))],
    ['an insert or replace', () => queries.insertInto('notes').values(noteOf('a')).orReplace()],
    [
      'a merge',
      () => queries.mergeInto('notes').using('folders', 'folders.id', 'notes.id').whenMatched().thenDelete(),
    ],
    [
      'an insert of another tenant',
      () => queries.insertInto('notes').values({ ...noteOf('a'), tenant_id: 'tenant-b' as never }),
    ],
    [
      'an insert of another tenant among its own',
      () =>
        queries.insertInto('notes').values([
          { ...noteOf('a'), tenant_id: LIVE.tenantId },
          { ...noteOf('b'), tenant_id: 'tenant-b' as never },
        ]),
    ],
    [
      'an insert of a tenant by expression',
      () => queries.insertInto('notes').values({ ...noteOf('a'), tenant_id: sql`'tenant-' || 'b'` as never }),
    ],
    ['an insert of another mode', () => queries.insertInto('notes').values({ ...noteOf('a'), sandbox: 1 })],
    [
      'an insert of the tenant in other letters',
      () => queries.insertInto('notes').values({ ...noteOf('a'), TENANT_ID: 'tenant-b' } as never),
    ],
    [
      'a mode for a table without one',
      () => queries.insertInto('folders').values({ id: 'a', title: 'a', sandbox: 1 } as never),
    ],
    ['an update of the tenant', () => queries.updateTable('notes').set({ tenant_id: 'tenant-b' } as never)],
    [
      'an update of the mode in other letters',
      () => queries.updateTable('notes').set({ Sandbox: 1 } as never),
    ],
    [
      'an update of the tenant by reference',
      () => queries.updateTable('notes').set(sql.ref('notes.tenant_id') as never, 'tenant-b' as never),
    ],
    [
      'an update of the tenant behind a value',
      () => queries.updateTable('notes').set({ name: sql<string>`'a', tenant_id = 'tenant-b'` }),
    ],
    [
      'an update of several tables',
      () => queries.updateTable(['notes', 'folders']).set({ name: 'a' } as never),
    ],
    ['an update from another table', () => queries.updateTable('notes').from('folders').set({ name: 'a' })],
    [
      'an update with a join',
      () =>
        queries
          .updateTable('notes')
          .innerJoin('folders', 'folders.id', 'notes.id')
          .set({ name: 'a' } as never),
    ],
    ['a delete using another table', () => queries.deleteFrom('notes').using('folders')],
    [
      'a delete with a join',
      () => queries.deleteFrom('notes').innerJoin('folders', 'folders.id', 'notes.id'),
    ],
    ['a delete from several tables', () => queries.deleteFrom(['notes', 'folders'])],
    [
      'a conflict that may be with another tenant',
      () =>
        queries
          .insertInto('notes')
          .values(noteOf('a'))
          .onConflict((c) => c.column('id').doUpdateSet({ amount: 2 })),
    ],
    [
      'a conflict without columns',
      () =>
        queries
          .insertInto('notes')
          .values(noteOf('a'))
          .onConflict((c) => c.doUpdateSet({ amount: 2 })),
    ],
    [
      'a conflict by constraint',
      () =>
        queries
          .insertInto('notes')
          .values(noteOf('a'))
          .onConflict((c) => c.constraint('notes_pkey').doUpdateSet({ amount: 2 })),
    ],
    [
      'a conflict that moves the row',
      () =>
        queries
          .insertInto('notes')
          .values(noteOf('a'))
          .onConflict((c) =>
            c.columns(['tenant_id', 'sandbox', 'id']).doUpdateSet({ tenant_id: 'tenant-b' } as never),
          ),
    ],
    [
      'a function with an injected name',
      () => queries.selectFrom('folders').select((eb) => eb.fn('max(id) from notes; --', []).as('x')),
    ],
    [
      'a function that is not in both databases',
      () => queries.selectFrom('folders').select((eb) => eb.fn('load_extension', [eb.val('x')]).as('x')),
    ],
    ['tables of two files', () => queries.selectFrom(['notes', 'events']).select('notes.id')],
  ];

  it.each(refused)('refuses %s', (_what, query) => {
    expect(() => query().compile()).toThrow(
      /query refused|raw SQL may only|one file|is not supported|has no scope/,
    );
  });

  it('refuses a scope without tenant or mode', () => {
    const select = (scope: object) => () =>
      view
        .scoped(scope as typeof LIVE)
        .selectFrom('notes')
        .selectAll()
        .compile();
    for (const scope of [
      {},
      { tenantId: '' },
      { tenantId: 1, sandbox: false },
      { tenantId: 'a' },
      { tenantId: 'a', sandbox: 0 },
    ]) {
      expect(select(scope)).toThrow(/names no (tenant|mode)/);
    }
    expect(() =>
      view.scoped({ tenantId: LIVE.tenantId }).selectFrom('folders').selectAll().compile(),
    ).not.toThrow();
  });

  it('has no doors beside', async () => {
    expect(() => queries.withSchema('main')).toThrow('no plugins');
    expect(queries.withoutPlugins().selectFrom('notes').select('id').compile().sql).toContain(
      '"tenant_id" = ?',
    );
    const rows = queries.selectFrom('notes').selectAll().stream();
    await expect(async () => rows.next()).rejects.toThrow('no streams');
  });

  it('may cross tenants only for a reason of the list', () => {
    expect(() => view.system('because' as SystemReason)).toThrow('golden list');
    expect(() => view.system('toString' as SystemReason)).toThrow('golden list');
    const compiled = view.system('metrics').selectFrom('notes').select('id').compile();
    expect(compiled.sql).toBe('select "id" from "notes"');
    const undeclared = view.system('metrics') as unknown as typeof queries;
    expect(() => undeclared.selectFrom('sqlite_master').selectAll().compile()).toThrow('not declared');
  });

  it('declares a table in one way', () => {
    expect(() => db.view({ notes: { scope: 'system' } })).toThrow('declared in two ways');
    expect(() => db.view({ events: { scope: 'tenant+mode' } })).toThrow('declared in two ways');
  });
});

describe('verifyScope', () => {
  let db: TestDatabase;
  let view: View<NotesDb>;
  beforeAll(async () => {
    db = await openTestSqlite(NOTE_MIGRATIONS);
    view = db.view(NOTE_TABLES);
  });
  afterAll(() => db.cleanup());

  const scope = { tenant_id: 'tenant-a', sandbox: 0 };
  const own = { ...noteOf('a'), tenant_id: LIVE.tenantId, sandbox: 0 as const };

  function verified(
    build: (queries: ScopedQueries<NotesDb>) => { toOperationNode(): OperationNode },
  ): () => void {
    return () => verifyScope(build(view.system('metrics')).toOperationNode(), NOTE_TABLES, scope);
  }

  it('lets through what carries the conditions itself', () => {
    const passes = [
      verified((q) =>
        q
          .selectFrom('notes')
          .selectAll()
          .where('notes.tenant_id', '=', LIVE.tenantId)
          .where('notes.sandbox', '=', 0),
      ),
      verified((q) => q.insertInto('notes').values(own)),
    ];
    for (const pass of passes) expect(pass).not.toThrow();
  });

  it.each([
    ['a select', verified((q) => q.selectFrom('notes').selectAll())],
    [
      'one condition of two',
      verified((q) => q.selectFrom('notes').selectAll().where('notes.tenant_id', '=', LIVE.tenantId)),
    ],
    [
      'the condition of another table',
      verified((q) =>
        q.selectFrom(['folders as f', 'folders as g']).selectAll().where('f.tenant_id', '=', LIVE.tenantId),
      ),
    ],
    [
      'a condition inside an or',
      verified((q) =>
        q
          .selectFrom('folders')
          .selectAll()
          .where((eb) => eb.or([eb('folders.tenant_id', '=', LIVE.tenantId), eb('id', '=', 'a')])),
      ),
    ],
    [
      'a condition on another value',
      verified((q) => q.selectFrom('folders').selectAll().where('folders.tenant_id', '=', OTHER.tenantId)),
    ],
    [
      'a join',
      verified((q) =>
        q
          .selectFrom('folders')
          .innerJoin('notes', 'notes.id', 'folders.id')
          .selectAll()
          .where('folders.tenant_id', '=', LIVE.tenantId),
      ),
    ],
    [
      'a subquery',
      verified((q) =>
        q
          .selectFrom('folders')
          .selectAll()
          .where('folders.tenant_id', '=', LIVE.tenantId)
          .where('id', 'in', q.selectFrom('notes').select('id')),
      ),
    ],
    [
      'a subquery in from',
      verified((q) => q.selectFrom(q.selectFrom('notes').select('id').as('n')).selectAll()),
    ],
    [
      'a subquery in raw SQL',
      verified((q) =>
        q
          .selectFrom('folders')
          .select(sql`(${q.selectFrom('notes').select('id')})`.as('x'))
          .where('folders.tenant_id', '=', LIVE.tenantId),
      ),
    ],
    [
      'a table in raw SQL',
      verified((q) =>
        q
          .selectFrom('folders')
          .select(sql`${sql.table('notes')}`.as('x'))
          .where('folders.tenant_id', '=', LIVE.tenantId),
      ),
    ],
    ['an update', verified((q) => q.updateTable('notes').set({ name: 'a' }))],
    ['a delete', verified((q) => q.deleteFrom('notes'))],
    ['an insert', verified((q) => q.insertInto('notes').values(noteOf('a')))],
    [
      'an insert of two tenants',
      verified((q) => q.insertInto('notes').values([own, { ...own, tenant_id: OTHER.tenantId }])),
    ],
    ['a system table', verified((q) => q.selectFrom('counters').selectAll())],
  ])('finds %s without its scope', (_what, run) => {
    expect(run).toThrow(/has no (condition|scope)|stands where|names tenant_id once|has another tenant_id/);
  });
});
