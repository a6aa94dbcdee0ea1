export { vaultJobs } from './jobs.js';
export { vaultRoutes } from './routes.js';
export { createVaults, type Vaults, type VaultsDeps } from './service.js';
export { migrations, vaultTables } from './tables.js';
export type { TokenReference, ValueForProxy } from './tokens/service.js';
