import { cryptoKeysMigration } from './migrations/0004-crypto-keys.js';

export { envelopeColumns } from './envelope-columns.js';
export { type CryptoKeys, type CryptoKeysDeps, createCryptoKeys, type PreparedCryptoKey } from './service.js';
export { cryptoKeyTables } from './tables.js';

export const migrations = [cryptoKeysMigration];
