import type { Migration } from '../../../platform/storage/migration.js';

export const sessionsMigration: Migration = {
  id: '0019-sessions',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE sessions (
      id ${text} NOT NULL PRIMARY KEY,
      user_id ${text} NOT NULL REFERENCES users (id),
      amr ${text} NOT NULL,
      ip_address ${text},
      user_agent ${text},
      created_at ${integer} NOT NULL,
      last_used_at ${integer} NOT NULL,
      idle_expires_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      refreshes ${integer} NOT NULL,
      revoked_at ${integer}
    )`,
    'CREATE INDEX sessions_by_user ON sessions (user_id, created_at)',
    'CREATE INDEX sessions_by_end ON sessions (idle_expires_at)',
    `CREATE TABLE refresh_tokens (
      token_hash ${bytes} NOT NULL PRIMARY KEY,
      session_id ${text} NOT NULL REFERENCES sessions (id),
      issued_at ${integer} NOT NULL,
      used_at ${integer}
    )`,
    'CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id)',
    'CREATE INDEX memberships_by_user ON memberships (user_id)',
    `CREATE TABLE sign_in_attempts (
      subject_hash ${bytes} NOT NULL PRIMARY KEY,
      attempts ${integer} NOT NULL,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE INDEX sign_in_attempts_by_end ON sign_in_attempts (expires_at)',
  ],
};
