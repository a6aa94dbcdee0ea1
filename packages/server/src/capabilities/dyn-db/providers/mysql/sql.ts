import { assert } from '../../../../kernel/assert.js';
import type { TemplateName } from '../engine.js';

export const TEMPLATE_PRIVILEGES: { readonly [Name in TemplateName]: string } = {
  readonly: 'SELECT',
  readwrite: 'SELECT, INSERT, UPDATE, DELETE',
};

/** Every session sets its `sql_mode`: backslashes escape, and only backticks quote names. */
export function quoteName(name: string): string {
  assert(!name.includes('\0'), 'a name holds a NUL');
  return `\`${name.replaceAll('`', '``')}\``;
}

export function quoteText(text: string): string {
  assert(!text.includes('\0'), 'a text holds a NUL');
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

export function account(username: string, host = '%'): string {
  return `${quoteText(username)}@${quoteText(host)}`;
}

/** Where a GRANT counts: in a database's name `_` and `%` are wildcards there, as in no other statement. */
export function grantScope(database: string): string {
  return `${quoteName(database.replace(/[\\_%]/g, '\\$&'))}.*`;
}

/** Never granted on, whatever a connection names or leaves open: who writes here makes himself anything. */
const SYSTEM_SCHEMAS = ['mysql', 'sys', 'information_schema', 'performance_schema'];

export function isSystemSchema(name: string): boolean {
  return SYSTEM_SCHEMAS.includes(name.toLowerCase());
}
