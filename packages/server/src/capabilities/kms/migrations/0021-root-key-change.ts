import type { Migration } from '../../../platform/storage/migration.js';

export const rootKeyChangeMigration: Migration = {
  id: '0021-root-key-change',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    // The check value of the former root key while a change is under way, else null.
    `ALTER TABLE root_key_checks ADD COLUMN former_wrapped ${bytes}`,
    // What stays as the first start made it, whatever becomes of the root key.
    `CREATE TABLE installation (
      name ${text} NOT NULL PRIMARY KEY,
      value ${text} NOT NULL,
      created_at ${integer} NOT NULL
    )`,
  ],
};
