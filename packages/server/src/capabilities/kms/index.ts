export type { EnvelopePlace } from '../../platform/crypto/envelope-cipher.js';
export type { EnvelopeColumn } from './envelope-columns.js';
export { RootKeyMismatch } from './errors.js';
export type { RootKeyChange } from './root-key.js';
export { createKms, type Kms, type KmsDeps, type PreparedMasterKey, type TenantKeys } from './service.js';
export { hasWrappedData } from './store.js';
export { kmsTables, migrations } from './tables.js';
