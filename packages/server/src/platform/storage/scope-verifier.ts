import {
  AliasNode,
  AndNode,
  BinaryOperationNode,
  ColumnNode,
  type DeleteQueryNode,
  IdentifierNode,
  type InsertQueryNode,
  type OperationNode,
  OperatorNode,
  PrimitiveValueListNode,
  ReferenceNode,
  type SelectQueryNode,
  TableNode,
  type UpdateQueryNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
} from 'kysely';
import { assert } from '../../kernel/assert.js';
import type { TableDeclaration } from './database.js';
import { type ScopeValues, scopeColumnsOf } from './scope-guard.js';

type Declarations = Readonly<Record<string, TableDeclaration>>;

/**
 * The second look at a query that is about to be compiled. It shares no walk with the guard that set the scope: it
 * goes through every member of every node, so that a table which the guard overlooked, wherever it stands, throws.
 */
export function verifyScope(query: OperationNode, declarations: Declarations, scope: ScopeValues): void {
  verify(query);

  function verify(node: OperationNode): void {
    assert(!TableNode.is(node), 'a table stands where it has no scope');
    const { checked, rest } = splitOf(node);
    for (const { source, where } of checked) verifySource(source, where);
    for (const child of rest) verify(child);
  }

  function verifySource(source: OperationNode, where: OperationNode | undefined): void {
    const { table, alias } = tableOf(source);
    if (table === null) {
      verify(AliasNode.is(source) ? source.node : source);
      return;
    }
    const found = conjunctsOf(where);
    for (const column of columnsOf(table)) {
      const isSet = found.some((condition) => isEquality(condition, alias, column, scope[column]));
      assert(isSet, `"${table}" has no condition on ${column}`);
    }
  }

  function columnsOf(table: string): readonly (keyof ScopeValues)[] {
    const declaration = Object.hasOwn(declarations, table) ? declarations[table] : undefined;
    assert(declaration, `table "${table}" is not declared`);
    const columns = scopeColumnsOf(declaration);
    assert(columns.length > 0, `"${table}" has no scope`);
    return columns;
  }

  /** What a node's tables are checked against, and which of its members are looked through as usual. */
  function splitOf(node: OperationNode): { checked: Checked[]; rest: OperationNode[] } {
    switch (node.kind) {
      case 'SelectQueryNode':
      case 'DeleteQueryNode': {
        const { from, joins, ...rest } = node as SelectQueryNode | DeleteQueryNode;
        const checked = (from?.froms ?? []).map((source) => ({ source, where: rest.where?.where }));
        const joined = (joins ?? []).map((join) => ({ source: join.table, where: join.on?.on }));
        const conditions = (joins ?? []).flatMap((join) => join.on ?? []);
        return { checked: [...checked, ...joined], rest: [...childrenOf(rest), ...conditions] };
      }
      case 'UpdateQueryNode': {
        const { table, ...rest } = node as UpdateQueryNode;
        assert(table, 'an update names its table');
        return { checked: [{ source: table, where: rest.where?.where }], rest: childrenOf(rest) };
      }
      case 'InsertQueryNode': {
        const { into, ...rest } = node as InsertQueryNode;
        assert(into, 'an insert names its table');
        verifyRows(rest as InsertQueryNode, columnsOf(into.table.identifier.name));
        return { checked: [], rest: childrenOf(rest) };
      }
      case 'ReferenceNode': {
        // The table of a column brings in no rows.
        const { table: _table, ...rest } = node as ReferenceNode;
        return { checked: [], rest: childrenOf(rest) };
      }
      default:
        return { checked: [], rest: childrenOf(node) };
    }
  }

  function verifyRows(node: InsertQueryNode, columns: readonly (keyof ScopeValues)[]): void {
    const names = (node.columns ?? []).map((column) => column.column.name);
    assert(node.values && ValuesNode.is(node.values), 'an insert takes values');
    for (const column of columns) {
      const index = names.indexOf(column);
      assert(index >= 0 && names.lastIndexOf(column) === index, `an insert names ${column} once`);
      for (const row of node.values.values) {
        assert(valueAt(row, index) === scope[column], `an insert has another ${column}`);
      }
    }
  }
}

interface Checked {
  readonly source: OperationNode;
  readonly where: OperationNode | undefined;
}

function tableOf(source: OperationNode): { table: string | null; alias: string } {
  const inner = AliasNode.is(source) ? source.node : source;
  if (!TableNode.is(inner)) return { table: null, alias: '' };
  const table = inner.table.identifier.name;
  if (!AliasNode.is(source)) return { table, alias: table };
  assert(IdentifierNode.is(source.alias), 'an alias is a name');
  return { table, alias: source.alias.name };
}

function conjunctsOf(condition: OperationNode | undefined): OperationNode[] {
  if (!condition) return [];
  return AndNode.is(condition)
    ? [...conjunctsOf(condition.left), ...conjunctsOf(condition.right)]
    : [condition];
}

function isEquality(node: OperationNode, alias: string, column: string, value: unknown): boolean {
  if (!BinaryOperationNode.is(node)) return false;
  const { leftOperand: left, operator, rightOperand: right } = node;
  return (
    ReferenceNode.is(left) &&
    left.table?.table.identifier.name === alias &&
    ColumnNode.is(left.column) &&
    left.column.column.name === column &&
    OperatorNode.is(operator) &&
    operator.operator === '=' &&
    ValueNode.is(right) &&
    right.value === value
  );
}

function valueAt(row: OperationNode, index: number): unknown {
  if (PrimitiveValueListNode.is(row)) return row.values[index];
  const value = ValueListNode.is(row) ? row.values[index] : undefined;
  return value && ValueNode.is(value) ? value.value : undefined;
}

function childrenOf(node: object): OperationNode[] {
  return Object.values(node).flat(3).filter(isNode);
}

function isNode(value: unknown): value is OperationNode {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}
