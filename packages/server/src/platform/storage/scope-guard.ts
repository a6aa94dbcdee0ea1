import {
  type AggregateFunctionNode,
  AliasNode,
  AndNode,
  BinaryOperationNode,
  ColumnNode,
  type ColumnUpdateNode,
  type DeleteQueryNode,
  FromNode,
  type FunctionNode,
  IdentifierNode,
  type InsertQueryNode,
  JoinNode,
  type OnConflictNode,
  type OperationNode,
  OperationNodeTransformer,
  OperatorNode,
  ParensNode,
  PrimitiveValueListNode,
  type QueryId,
  type RawNode,
  ReferenceNode,
  type RootOperationNode,
  SelectModifierNode,
  SelectQueryNode,
  TableNode,
  type UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
  WhereNode,
} from 'kysely';
import type { TableDeclaration } from './database.js';
import { assertExpression, assertFunctionName } from './raw-sql.js';

/** Values of the scope columns; in a query that is being defined, stand-ins for them. Null: across tenants. */
export interface ScopeValues {
  readonly tenant_id: unknown;
  readonly sandbox: unknown;
}

export type ScopeColumn = keyof ScopeValues;

export function scopeColumnsOf(declaration: TableDeclaration): readonly ScopeColumn[] {
  switch (declaration.scope) {
    case 'system':
      return [];
    case 'tenant':
      return ['tenant_id'];
    case 'tenant+mode':
      return ['tenant_id', 'sandbox'];
  }
}

/** Kinds of node that may pass untouched or have a rule below. A kind that is not here is refused. */
const ALLOWED_KINDS = new Set(
  (
    'AggregateFunctionNode AliasNode AndNode BinaryOperationNode CaseNode CastNode ColumnNode ColumnUpdateNode ' +
    'DataTypeNode DeleteQueryNode FunctionNode GroupByItemNode GroupByNode HavingNode IdentifierNode ' +
    'InsertQueryNode LimitNode OffsetNode OnConflictNode OperatorNode OrderByItemNode OrderByNode OrNode ' +
    'ParensNode PrimitiveValueListNode RawNode ReferenceNode ReturningNode SelectAllNode SelectionNode ' +
    'SelectModifierNode SelectQueryNode SetOperationNode TupleNode UnaryOperationNode UpdateQueryNode ValueListNode ' +
    'ValueNode ValuesNode WhenNode WhereNode'
  ).split(' '),
);

/** Left out are those that keep rows whose scope condition failed. */
const SCOPED_JOINS = new Set(['InnerJoin', 'LeftJoin']);

export interface GuardedQuery {
  readonly node: RootOperationNode;
  /** Every table named, the first one first. */
  readonly tables: readonly string[];
}

/**
 * Sets the scope of every table a query names, wherever it stands, and refuses what it does not know: a table that is
 * not declared, a table in a place where it cannot be scoped, a kind of node without a rule.
 */
export class ScopeGuard extends OperationNodeTransformer {
  readonly #declarations: Readonly<Record<string, TableDeclaration>>;
  #scope: ScopeValues | null = null;
  #tables = new Set<string>();

  constructor(declarations: Readonly<Record<string, TableDeclaration>>) {
    super();
    this.#declarations = declarations;
  }

  guard(query: RootOperationNode, scope: ScopeValues | null, queryId: QueryId): GuardedQuery {
    this.#scope = scope;
    this.#tables = new Set();
    this.nodeStack.length = 0;
    const node = this.transformNode(query, queryId);
    return { node, tables: [...this.#tables] };
  }

  protected override transformNodeImpl<T extends OperationNode>(node: T, queryId: QueryId): T {
    if (!ALLOWED_KINDS.has(node.kind)) refuse(`${node.kind} is not supported here`);
    return super.transformNodeImpl(node, queryId);
  }

  protected override transformSelectQuery(node: SelectQueryNode, queryId: QueryId): SelectQueryNode {
    if (node.distinctOn) refuse('distinct on is not portable');
    if (node.endModifiers && !isClaim(node.endModifiers)) refuse('row locks and modifiers are not portable');
    const conditions: OperationNode[] = [];
    const from = node.from?.froms.map((source) => this.#source(source, conditions, queryId));
    const joins = node.joins?.map((join) => this.#join(join, queryId));
    const where = this.#where(node.where, conditions, queryId);
    const rest = super.transformSelectQuery(
      { ...node, from: undefined, joins: undefined, where: undefined } as SelectQueryNode,
      queryId,
    );
    return {
      ...rest,
      ...(from && { from: FromNode.create(from) }),
      ...(joins && { joins }),
      ...(where && { where }),
    };
  }

  protected override transformInsertQuery(node: InsertQueryNode, queryId: QueryId): InsertQueryNode {
    this.#assertRoot();
    if (!node.into || node.endModifiers) refuse('this form of insert is not supported');
    if (node.replace || node.ignore || node.orAction || node.defaultValues)
      refuse('insert or replace|ignore|default');
    const columns = scopeColumnsOf(this.#declare(node.into));
    const filled = this.#scope === null ? node : this.#fill(node, columns, this.#scope);
    if (node.onConflict) this.#assertConflictInScope(node.onConflict, columns);
    const rest = super.transformInsertQuery({ ...filled, into: undefined } as InsertQueryNode, queryId);
    return { ...rest, into: node.into };
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId: QueryId): UpdateQueryNode {
    this.#assertRoot();
    if (!node.table || node.from || node.joins) refuse('update names one table only');
    if (node.endModifiers || node.limit || node.orderBy) refuse('modifiers of update are not portable');
    const conditions: OperationNode[] = [];
    const table = this.#source(node.table, conditions, queryId);
    const where = this.#where(node.where, conditions, queryId);
    const rest = super.transformUpdateQuery({ ...node, table: undefined, where: undefined }, queryId);
    return { ...rest, table, ...(where && { where }) };
  }

  protected override transformDeleteQuery(node: DeleteQueryNode, queryId: QueryId): DeleteQueryNode {
    this.#assertRoot();
    if (node.using || node.joins || node.from.froms.length !== 1) refuse('delete names one table only');
    if (node.endModifiers || node.limit || node.orderBy) refuse('modifiers of delete are not portable');
    const conditions: OperationNode[] = [];
    const from = node.from.froms.map((source) => this.#source(source, conditions, queryId));
    const where = this.#where(node.where, conditions, queryId);
    const rest = super.transformDeleteQuery(
      { ...node, from: undefined, where: undefined } as unknown as DeleteQueryNode,
      queryId,
    );
    return { ...rest, from: FromNode.create(from), ...(where && { where }) };
  }

  protected override transformColumnUpdate(node: ColumnUpdateNode, queryId: QueryId): ColumnUpdateNode {
    const column = ReferenceNode.is(node.column) ? node.column.column : node.column;
    if (!ColumnNode.is(column)) refuse('update sets named columns only');
    // SQLite compares quoted names without case as well.
    if (isScopeColumn(column.column.name)) refuse(`${column.column.name} is never updated`);
    return super.transformColumnUpdate(node, queryId);
  }

  /** A qualified column names a table that stands in `from` already; it brings in no rows. */
  protected override transformReference(node: ReferenceNode, queryId: QueryId): ReferenceNode {
    if (node.table?.table.schema) refuse('schemas are not used');
    const column = this.transformNode(node.column, queryId);
    return { kind: 'ReferenceNode', column, ...(node.table && { table: node.table }) };
  }

  protected override transformRaw(node: RawNode, queryId: QueryId): RawNode {
    assertExpression(node);
    return super.transformRaw(node, queryId);
  }

  protected override transformFunction(node: FunctionNode, queryId: QueryId): FunctionNode {
    assertFunctionName(node.func);
    return super.transformFunction(node, queryId);
  }

  protected override transformAggregateFunction(
    node: AggregateFunctionNode,
    queryId: QueryId,
  ): AggregateFunctionNode {
    assertFunctionName(node.func);
    if (node.over || node.withinGroup) refuse('window functions are not supported');
    return super.transformAggregateFunction(node, queryId);
  }

  protected override transformSelectModifier(node: SelectModifierNode, queryId: QueryId): SelectModifierNode {
    if (node.modifier !== 'Distinct' && !CLAIM_MODIFIERS.has(node.modifier ?? ''))
      refuse('row locks and modifiers are not portable');
    return super.transformSelectModifier(node, queryId);
  }

  #assertRoot(): void {
    if (this.nodeStack.length !== 1) refuse('a write stands alone');
  }

  #declare(table: TableNode): TableDeclaration {
    if (table.table.schema) refuse('schemas are not used');
    const name = table.table.identifier.name;
    const declaration = Object.hasOwn(this.#declarations, name) ? this.#declarations[name] : undefined;
    if (!declaration) refuse(`table "${name}" is not declared`);
    if (this.#scope !== null && declaration.scope === 'system') {
      refuse(`"${name}" has no scope: use system() with its reason`);
    }
    this.#tables.add(name);
    return declaration;
  }

  /** A table or subquery that brings in rows: its conditions are added to `conditions`. */
  #source(source: OperationNode, conditions: OperationNode[], queryId: QueryId): OperationNode {
    if (TableNode.is(source)) {
      conditions.push(...this.#conditions(this.#declare(source), source.table.identifier.name));
      return source;
    }
    if (!AliasNode.is(source) || !IdentifierNode.is(source.alias))
      refuse(`${source.kind} is not a declared table`);
    if (TableNode.is(source.node)) {
      conditions.push(...this.#conditions(this.#declare(source.node), source.alias.name));
      return source;
    }
    if (!SelectQueryNode.is(source.node)) refuse(`${source.node.kind} is not a declared table`);
    return AliasNode.create(this.transformNode(source.node, queryId), source.alias);
  }

  #join(join: JoinNode, queryId: QueryId): JoinNode {
    if (this.#scope !== null && !SCOPED_JOINS.has(join.joinType)) refuse(`${join.joinType} cannot be scoped`);
    const conditions: OperationNode[] = [];
    const table = this.#source(join.table, conditions, queryId);
    const on = joined(join.on && this.transformNode(join.on.on, queryId), conditions);
    return on ? JoinNode.createWithOn(join.joinType, table, on) : JoinNode.create(join.joinType, table);
  }

  #where(where: WhereNode | undefined, conditions: OperationNode[], queryId: QueryId): WhereNode | undefined {
    const all = joined(where && this.transformNode(where.where, queryId), conditions);
    return all && WhereNode.create(all);
  }

  #conditions(declaration: TableDeclaration, alias: string): OperationNode[] {
    const scope = this.#scope;
    if (scope === null) return [];
    return scopeColumnsOf(declaration).map((column) =>
      BinaryOperationNode.create(
        ReferenceNode.create(ColumnNode.create(column), TableNode.create(alias)),
        OperatorNode.create('='),
        ValueNode.create(scope[column]),
      ),
    );
  }

  #fill(node: InsertQueryNode, columns: readonly ScopeColumn[], scope: ScopeValues): InsertQueryNode {
    const { values } = node;
    if (!values || !ValuesNode.is(values)) refuse('insert into a scoped table takes values');
    const names = (node.columns ?? []).map((column) => column.column.name);
    for (const name of names) {
      if (isScopeColumn(name) && !columns.some((column) => column === name))
        refuse(`${name} is not its column`);
    }
    const missing = columns.filter((column) => !names.includes(column));
    const rows = values.values.map((row) => {
      columns.forEach((column) => {
        const index = names.indexOf(column);
        if (index >= 0 && valueAt(row, index) !== scope[column]) refuse(`insert into another ${column}`);
      });
      const added = missing.map((column) => scope[column]);
      return PrimitiveValueListNode.is(row)
        ? PrimitiveValueListNode.create([...row.values, ...added])
        : ValueListNode.create([
            ...(row as ValueListNode).values,
            ...added.map((value) => ValueNode.create(value)),
          ]);
    });
    const allColumns = [...(node.columns ?? []), ...missing.map((column) => ColumnNode.create(column))];
    return { ...node, columns: allColumns, values: ValuesNode.create(rows) };
  }

  /** The row that is in the way must be of this scope, or the update would reach another tenant's. */
  #assertConflictInScope(conflict: OnConflictNode, columns: readonly ScopeColumn[]): void {
    if (conflict.doNothing || this.#scope === null) return;
    const target = (conflict.columns ?? []).map((column) => column.column.name);
    if (!columns.every((column) => target.includes(column))) {
      refuse(`on conflict do update needs ${columns.join(', ')} among its columns`);
    }
  }
}

/** Parentheses keep an `or` of the query's own condition from widening the scope. */
function joined(
  own: OperationNode | undefined,
  conditions: readonly OperationNode[],
): OperationNode | undefined {
  if (conditions.length === 0) return own;
  const all = own ? [ParensNode.create(own), ...conditions] : conditions;
  return all.reduce((left, right) => AndNode.create(left, right));
}

function valueAt(row: OperationNode, index: number): unknown {
  if (PrimitiveValueListNode.is(row)) return row.values[index];
  const value = (row as ValueListNode).values[index];
  return value && ValueNode.is(value) ? value.value : refuse('a scope column takes a plain value');
}

/** `for update skip locked`, the two together: the one lock that has a meaning on both databases. */
const CLAIM_MODIFIERS = new Set<string>(['ForUpdate', 'SkipLocked']);

function isClaim(modifiers: readonly OperationNode[]): boolean {
  const names = modifiers.map((node) => (SelectModifierNode.is(node) ? node.modifier : undefined));
  return names.length === CLAIM_MODIFIERS.size && names.every((name) => CLAIM_MODIFIERS.has(name ?? ''));
}

function isScopeColumn(name: string): boolean {
  return ['tenant_id', 'sandbox'].includes(name.toLowerCase());
}

function refuse(why: string): never {
  throw new Error(`query refused: ${why}`);
}
