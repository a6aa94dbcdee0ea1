import { createRequire, isBuiltin } from 'node:module';

/** Built in from Node 22.13; before that the same interface from the registry package. */
export const SQLITE_MODULE = isBuiltin('node:sqlite') ? 'node:sqlite' : '@photostructure/sqlite';

export function loadSqlite(): typeof import('@photostructure/sqlite') {
  return createRequire(import.meta.url)(SQLITE_MODULE);
}
