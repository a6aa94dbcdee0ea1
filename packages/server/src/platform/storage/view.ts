import {
  type CompiledQuery,
  type DialectAdapter,
  type QueryCompiler,
  QueryCreator,
  type QueryExecutor,
  type QueryId,
  type QueryResult,
  type RootOperationNode,
} from 'kysely';
import { assert } from '../../kernel/assert.js';
import { isPending, type Promisable } from '../../kernel/promisable.js';
import type { Aside } from './aside.js';
import { assertBindable, assertIdentifier, bytesOf } from './binding.js';
import type {
  AnyScope,
  Arg,
  Bindable,
  Compilable,
  DefinedQuery,
  Insertion,
  RowShape,
  ScopedQueries,
  TableDeclaration,
  TableSet,
  Transaction,
  View,
} from './database.js';
import type { Engine, Statement, StatementResult } from './engine.js';
import { type ScopeColumn, ScopeGuard, type ScopeValues, scopeColumnsOf } from './scope-guard.js';
import { verifyScope } from './scope-verifier.js';
import { SYSTEM_REASONS, type SystemReason } from './system-reasons.js';
import { OpenTransaction } from './transaction.js';

/** Stands for an argument, or for a scope column, while a defined query is built. */
class Placeholder {
  constructor(readonly name: string) {}
}

const SCOPE_PLACEHOLDERS = { tenant_id: new Placeholder('tenant_id'), sandbox: new Placeholder('sandbox') };

/** A row of a group commit. Made by a view only, so that its scope columns are known to be set. */
export class CheckedInsertion implements Insertion {
  constructor(
    readonly shape: RowShape,
    readonly values: readonly Bindable[],
    readonly isJson: boolean,
    readonly bytes: number,
  ) {}
}

export interface ViewContext {
  /** The database the view belongs to; transactions of another one are refused. */
  readonly owner: object;
  readonly engine: Engine;
  readonly aside: Aside;
  /** Names of defined queries with their text, over all views. */
  readonly definitions: Map<string, string>;
}

type Template = Omit<Statement, 'parameters'>;

/** Written out: an object that is spread has a shape of its own each time, and all that reads it is slower for that. */
function statementOf(
  { sql, name, kind, returnsRows, table, file }: Template,
  parameters: readonly unknown[],
): Statement {
  return { sql, parameters, name, kind, returnsRows, table, file };
}

/** Compiles through the guard and runs on the engine; what it did not compile itself it does not run. */
class ViewExecutor implements QueryExecutor {
  readonly plugins = [];
  readonly #view: ViewInternals;
  readonly #scope: ScopeValues | null;
  readonly #tx: Transaction | 'aside' | undefined;

  constructor(view: ViewInternals, scope: ScopeValues | null, tx: Transaction | 'aside' | undefined) {
    this.#view = view;
    this.#scope = scope;
    this.#tx = tx;
  }

  get adapter(): DialectAdapter {
    return this.#view.context.engine.adapter;
  }

  compileQuery<R = unknown>(node: RootOperationNode, queryId: QueryId): CompiledQuery<R> {
    return this.#view.compile(node, this.#scope, queryId);
  }

  async executeQuery<R>(compiled: CompiledQuery<R>): Promise<QueryResult<R>> {
    const template = this.#view.templateOf(compiled);
    const statement = statementOf(template, compiled.parameters);
    const result =
      this.#tx === 'aside'
        ? await this.#view.runAside(statement, this.#scope)
        : await this.#view.run(statement, this.#tx);
    return { rows: result.rows as R[], numAffectedRows: BigInt(result.changes) };
  }

  /** Scoping happens when the whole query is compiled: what is embedded in it gets the scope of the outer handle. */
  transformQuery<T extends RootOperationNode>(node: T): T {
    return node;
  }

  provideConnection = refuseUse;
  stream = refuseUse;
  withConnectionProvider = refuseUse;
  withPlugin = refuseUse;
  withPlugins = refuseUse;
  withPluginAtFront = refuseUse;

  withoutPlugins(): this {
    return this;
  }
}

function refuseUse(): never {
  throw new Error('a view has no connections, no streams and no plugins');
}

class ViewInternals {
  readonly context: ViewContext;
  readonly #declarations: Readonly<Record<string, TableDeclaration>>;
  readonly #guard: ScopeGuard;
  readonly #compiler: QueryCompiler;
  readonly #templates = new WeakMap<CompiledQuery<unknown>, Template>();

  constructor(context: ViewContext, declarations: Readonly<Record<string, TableDeclaration>>) {
    this.context = context;
    this.#declarations = declarations;
    this.#guard = new ScopeGuard(declarations);
    this.#compiler = context.engine.createCompiler();
  }

  compile<R>(query: RootOperationNode, scope: ScopeValues | null, queryId: QueryId): CompiledQuery<R> {
    const { node, tables } = this.#guard.guard(query, scope, queryId);
    if (scope !== null) verifyScope(node, this.#declarations, scope);
    const compiled = this.#compiler.compileQuery(node, queryId) as CompiledQuery<R>;
    const files = new Set(tables.map((table) => this.#declarations[table]?.file ?? 'main'));
    assert(files.size <= 1, 'a query names tables of one file only');
    this.#templates.set(compiled, {
      sql: compiled.sql,
      kind: node.kind === 'SelectQueryNode' ? 'read' : 'write',
      returnsRows: node.kind === 'SelectQueryNode' || ('returning' in node && node.returning !== undefined),
      table: tables[0] ?? '',
      file: [...files][0] ?? 'main',
    });
    return compiled;
  }

  templateOf(compiled: CompiledQuery<unknown>): Template {
    const template = this.#templates.get(compiled);
    assert(template, 'the query was compiled by another handle');
    return template;
  }

  run(statement: Statement, tx: Transaction | undefined): Promisable<StatementResult> {
    for (const value of statement.parameters) assertBindable(value);
    if (tx === undefined) return this.context.engine.run(statement);
    assert(
      tx instanceof OpenTransaction && tx.owner === this.context.owner,
      'a transaction of another database',
    );
    assert(statement.file === 'main', 'the log file is never written in a transaction');
    return tx.run(statement);
  }

  async runAside(statement: Statement, scope: ScopeValues | null): Promise<StatementResult> {
    for (const value of statement.parameters) assertBindable(value);
    assert(statement.kind === 'read' && scope !== null, 'only reads of a tenant are put aside');
    const { aside, engine } = this.context;
    return aside.inTurn(String(scope.tenant_id), async () => engine.run({ ...statement, isAside: true }));
  }

  declarationOf(table: string): TableDeclaration {
    const declaration = Object.hasOwn(this.#declarations, table) ? this.#declarations[table] : undefined;
    assert(declaration, `table "${table}" is not declared`);
    return declaration;
  }
}

export function createView<DB>(context: ViewContext, tables: TableSet<DB>): View<DB> {
  const internals = new ViewInternals(context, tables as Readonly<Record<string, TableDeclaration>>);
  const shapesByTable = new Map<string, RowShapes>();

  function queries(scope: ScopeValues | null, tx?: Transaction | 'aside'): ScopedQueries<DB> {
    return new QueryCreator<DB>({ executor: new ViewExecutor(internals, scope, tx) }) as ScopedQueries<DB>;
  }

  function define<Where extends AnyScope | null, Args extends Record<string, Bindable>, R>(
    name: string,
    scope: ScopeValues | null,
    build: (queries: ScopedQueries<DB>, arg: Arg<Args>) => Compilable<R>,
  ): DefinedQuery<Where, Args, R> {
    assertIdentifier(name);
    const arg = ((argument: string) => new Placeholder(argument)) as unknown as Arg<Args>;
    const compiled = build(queries(scope), arg).compile();
    const template: Template = { ...internals.templateOf(compiled), name };
    const known = context.definitions.get(name);
    assert(known === undefined || known === compiled.sql, `two defined queries are named "${name}"`);
    context.definitions.set(name, compiled.sql);

    function run(where: Where, args: Args, tx: Transaction | undefined): Promisable<StatementResult> {
      const parameters = compiled.parameters.map((value) => {
        if (value === SCOPE_PLACEHOLDERS.tenant_id) return scopeValue(where, 'tenant_id');
        if (value === SCOPE_PLACEHOLDERS.sandbox) return scopeValue(where, 'sandbox');
        return value instanceof Placeholder ? args[value.name] : value;
      });
      return internals.run(statementOf(template, parameters), tx);
    }
    return {
      name,
      all(where, args, tx) {
        const result = run(where, args, tx);
        return isPending(result) ? result.then(({ rows }) => rows as R[]) : (result.rows as R[]);
      },
      first(where, args, tx) {
        const result = run(where, args, tx);
        return isPending(result)
          ? result.then(({ rows }) => rows[0] as R | undefined)
          : (result.rows[0] as R | undefined);
      },
    };
  }

  return {
    scoped: (scope, tx) => queries(scopeValues(scope), tx),
    aside: (scope) => queries(scopeValues(scope), 'aside'),
    system: (reason, tx) => queries(forReason(reason), tx),
    define: (name, build) => define(name, SCOPE_PLACEHOLDERS, build),
    defineSystem: (name, reason, build) => define(name, forReason(reason), build),
    insertion(table, scope, row) {
      const known = shapesByTable.get(table) ?? new RowShapes(table, internals.declarationOf(table));
      shapesByTable.set(table, known);
      return known.insertion(scope, row);
    },
  };
}

function forReason(reason: SystemReason): null {
  assert(Object.hasOwn(SYSTEM_REASONS, reason), 'system() needs a reason of the golden list');
  return null;
}

/** Read only when a table asks for it: a tenant table has no need of the mode. */
function scopeValues(scope: AnyScope): ScopeValues {
  return {
    get tenant_id() {
      return scopeValue(scope, 'tenant_id');
    },
    get sandbox() {
      return scopeValue(scope, 'sandbox');
    },
  };
}

function scopeValue(scope: AnyScope | null, column: ScopeColumn): Bindable {
  assert(scope !== null, 'the query needs a scope');
  if (column === 'tenant_id') {
    assert(typeof scope.tenantId === 'string' && scope.tenantId !== '', 'the scope names no tenant');
    return scope.tenantId;
  }
  assert('sandbox' in scope && typeof scope.sandbox === 'boolean', 'the scope names no mode');
  return scope.sandbox ? 1 : 0;
}

/** Rows of a table come in one or two shapes; each is checked once, and a row is then its values alone. */
const SHAPES_PER_TABLE_MAX = 8;

class RowShapes {
  readonly #table: string;
  readonly #declaration: TableDeclaration;
  readonly #known: RowShape[] = [];

  constructor(table: string, declaration: TableDeclaration) {
    assertIdentifier(table);
    this.#table = table;
    this.#declaration = declaration;
  }

  insertion(scope: AnyScope | null, row: Record<string, Bindable>): CheckedInsertion {
    const shape = this.#shapeOf(row);
    const values: Bindable[] = [];
    let isJson = true;
    let bytes = 64;
    for (const column in row) {
      const value = row[column];
      assertBindable(value);
      values.push(value);
      if (typeof value === 'bigint' || Buffer.isBuffer(value)) isJson = false;
      bytes += bytesOf(value);
    }
    const scopeColumns = scopeColumnsOf(this.#declaration);
    assert(scopeColumns.length > 0 || scope === null, `"${this.#table}" has no scope`);
    for (const column of scopeColumns) {
      const value = scopeValue(scope, column);
      const given = row[column];
      assert(given === undefined || given === value, `insertion into another ${column}`);
      if (given === undefined) values.push(value);
    }
    assert(values.length === shape.columns.length, 'a row of another shape');
    return new CheckedInsertion(shape, values, isJson, bytes);
  }

  #shapeOf(row: Record<string, Bindable>): RowShape {
    const known = this.#known.find((shape) => isOfShape(row, shape));
    if (known) return known;
    const given = Object.keys(row);
    for (const column of given) assertIdentifier(column);
    const columns = [...new Set([...given, ...scopeColumnsOf(this.#declaration)])];
    const { file = 'main' } = this.#declaration;
    const shape: RowShape = { table: this.#table, file, columns, given: given.length };
    assert(this.#known.length < SHAPES_PER_TABLE_MAX, `rows of "${this.#table}" come in too many shapes`);
    this.#known.push(shape);
    return shape;
  }
}

function isOfShape(row: Record<string, Bindable>, { columns, given }: RowShape): boolean {
  let at = 0;
  for (const column in row) {
    if (at === given || columns[at] !== column) return false;
    at++;
  }
  return at === given;
}
