import type { Migration } from '../../../platform/storage/migration.js';

export const factorsMigration: Migration = {
  id: '0040-factors',
  file: 'main',
  statements: ({ text, integer, bytes }) => [
    `CREATE TABLE step_up_tokens (
      token_hash ${bytes} NOT NULL PRIMARY KEY,
      user_id ${text} NOT NULL REFERENCES users (id),
      session_id ${text} NOT NULL,
      tenant_id ${text},
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL,
      used_at ${integer}
    )`,
    'CREATE INDEX step_up_tokens_by_user ON step_up_tokens (user_id, created_at)',
    'CREATE INDEX step_up_tokens_by_end ON step_up_tokens (expires_at)',
    `CREATE TABLE totp_factors (
      user_id ${text} NOT NULL PRIMARY KEY REFERENCES users (id),
      wrapped_secret ${bytes} NOT NULL,
      created_at ${integer} NOT NULL,
      confirmed_at ${integer},
      last_step ${integer} NOT NULL
    )`,
    `CREATE TABLE recovery_codes (
      user_id ${text} NOT NULL REFERENCES users (id),
      code_hash ${bytes} NOT NULL,
      created_at ${integer} NOT NULL,
      PRIMARY KEY (user_id, code_hash)
    )`,
    `CREATE TABLE passkeys (
      id ${text} NOT NULL PRIMARY KEY,
      user_id ${text} NOT NULL REFERENCES users (id),
      credential_id ${text} NOT NULL UNIQUE,
      public_key ${bytes} NOT NULL,
      counter ${integer} NOT NULL,
      transports ${text} NOT NULL,
      synced ${integer} NOT NULL,
      name ${text} NOT NULL,
      created_at ${integer} NOT NULL,
      last_used_at ${integer}
    )`,
    'CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at)',
    `CREATE TABLE pending_sign_ins (
      token_hash ${bytes} NOT NULL PRIMARY KEY,
      user_id ${text} NOT NULL REFERENCES users (id),
      amr ${text} NOT NULL,
      brief ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE INDEX pending_sign_ins_by_user ON pending_sign_ins (user_id, created_at)',
    'CREATE INDEX pending_sign_ins_by_end ON pending_sign_ins (expires_at)',
    `CREATE TABLE used_challenges (
      challenge_hash ${bytes} NOT NULL PRIMARY KEY,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE INDEX used_challenges_by_end ON used_challenges (expires_at)',
  ],
};
