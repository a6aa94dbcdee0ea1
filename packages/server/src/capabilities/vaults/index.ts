export { vaultJobs } from './jobs.js';
export { vaultRoutes } from './routes.js';
export {
  detokenizedResponse,
  detokenizedWire,
  requireWholeCardExpiry,
  tokenizeFields,
  tokenParams,
  tokenResponse,
  tokenWire,
  vaultReference,
} from './schemas.js';
export { createVaults, type Vaults, type VaultsDeps } from './service.js';
export { migrations, vaultTables } from './tables.js';
export type { TokenReference, ValueForProxy, VaultUse } from './tokens/service.js';
