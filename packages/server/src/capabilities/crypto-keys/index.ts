export { envelopeColumns } from './envelope-columns.js';
export { type CryptoKeys, type CryptoKeysDeps, createCryptoKeys, type PreparedCryptoKey } from './service.js';
export { cryptoKeyTables, migrations } from './tables.js';
