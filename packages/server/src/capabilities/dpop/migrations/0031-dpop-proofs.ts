import type { Migration } from '../../../platform/storage/migration.js';

export const dpopProofsMigration: Migration = {
  id: '0031-dpop-proofs',
  file: 'main',
  statements: ({ text, integer }) => [
    `CREATE TABLE dpop_proofs (
      proof_key ${text} NOT NULL PRIMARY KEY,
      expires_at ${integer} NOT NULL
    )`,
    'CREATE INDEX dpop_proofs_expiry ON dpop_proofs (expires_at)',
  ],
};
