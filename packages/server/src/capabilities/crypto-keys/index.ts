import { KEY_ENVELOPE } from './envelope-columns.js';
import { cryptoKeysMigration } from './migrations/0004-crypto-keys.js';

export { type CryptoKeys, type CryptoKeysDeps, createCryptoKeys, type PreparedCryptoKey } from './service.js';
export { cryptoKeyTables } from './tables.js';

export const migrations = [cryptoKeysMigration];
export const envelopeColumns = [KEY_ENVELOPE];
