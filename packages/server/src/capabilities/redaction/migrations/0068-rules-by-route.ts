import type { Migration } from '../../../platform/storage/migration.js';

export const rulesByRouteMigration: Migration = {
  id: '0068-rules-by-route',
  file: 'main',
  statements: ({ text }) => [`ALTER TABLE redaction_rules ADD COLUMN route_ids ${text}`],
};
