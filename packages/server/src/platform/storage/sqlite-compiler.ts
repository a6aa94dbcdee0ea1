import { type SelectQueryNode, SqliteQueryCompiler } from 'kysely';

/** Leaves out `for update skip locked`, which SQLite does not know: its one writer is the lock. */
export class SqliteCompiler extends SqliteQueryCompiler {
  protected override visitSelectQuery(node: SelectQueryNode): void {
    const { endModifiers: _locks, ...rest } = node;
    super.visitSelectQuery(rest);
  }
}
