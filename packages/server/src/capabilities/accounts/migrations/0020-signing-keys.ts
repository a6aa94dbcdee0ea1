import type { Migration } from '../../../platform/storage/migration.js';

export const signingKeysMigration: Migration = {
  id: '0020-signing-keys',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE signing_keys (
      purpose ${text} NOT NULL PRIMARY KEY,
      wrapped_key ${bytes} NOT NULL,
      created_at ${integer} NOT NULL
    )`,
  ],
};
