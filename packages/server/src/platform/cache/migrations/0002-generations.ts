import type { Migration } from '../../storage/migration.js';

export const generationsMigration: Migration = {
  id: '0002-generations',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE generations (
      name ${text} NOT NULL PRIMARY KEY,
      generation ${integer} NOT NULL,
      changed_at ${integer} NOT NULL
    )`,
    'CREATE INDEX generations_changed_at ON generations (changed_at)',
  ],
};
